"""What files say beside their pixels: kept, refused or named; re-read by Pillow."""

import io
import itertools
import json
import os
import struct
import zlib

import numpy as np
import oracle
import pytest
from PIL import Image, TiffImagePlugin, features

import kquant
from kquant.cli import main as cli

PHOTO = oracle.photo(1, 60, 80)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b"dc:rights='me'/></x:xmpmeta>"
)
IPTC = bytes.fromhex("1c026e0004") + b"Anna"
COPYRIGHT, ARTIST, DESCRIPTION = 33432, 315, 270


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exif_bytes(orientation=1, **more):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[271], exif[272], exif[305] = "Make", "Model", "Editor 1.0"
    exif[COPYRIGHT], exif[ARTIST] = "(c) Anna", "Anna"
    exif.get_ifd(0x8769).update({36867: "2024:01:02 03:04:05", 40961: 65535})
    exif.get_ifd(0x8769).update({40962: 80, 40963: 60, 37500: b"MakerNote\0\1\2"})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    for tag, value in more.items():
        exif[int(tag[1:])] = value
    return exif.tobytes()


def with_thumbnail(exif, big=False):
    """Add a second directory with a picture, as cameras do."""
    exif = exif.removeprefix(b"Exif\0\0")
    ends = "<" if exif[:2] == b"II" else ">"
    (first,) = struct.unpack(ends + "I", exif[4:8])
    (count,) = struct.unpack(ends + "H", exif[first : first + 2])
    at = first + 2 + 12 * count
    small = b"\xff\xd8THUMBNAIL\xff\xd9"
    where = len(exif)
    table = struct.pack(ends + "H", 2)
    table += struct.pack(ends + "HHII", 513, 4, 1, where + 2 + 24 + 4)
    table += struct.pack(ends + "HHII", 514, 4, 1, len(small))
    table += b"\0\0\0\0"
    return exif[:at] + struct.pack(ends + "I", where) + exif[at + 4 :] + table + small


def photoshop(iptc):
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    return b"Photoshop 3.0\0" + resource + b"\0" * (len(iptc) % 2)


def jpeg(name="a.jpg", exif=None, xmp=None, iptc=None, comment=None, **more):
    image = Image.fromarray(PHOTO)
    options = {"exif": exif} if exif else {}
    options |= {"xmp": xmp} if xmp else {}
    options |= {"comment": comment} if comment else {}
    file = io.BytesIO()
    image.save(file, "JPEG", **options, **more)
    data = file.getvalue()
    if iptc:
        part = photoshop(iptc)
        data = (
            data[:2] + b"\xff\xed" + struct.pack(">H", len(part) + 2) + part + data[2:]
        )
    with open(name, "wb") as out:
        out.write(data)
    return name


def full_jpeg(orientation=6):
    exif = b"Exif\0\0" + with_thumbnail(exif_bytes(orientation))
    return jpeg(exif=exif, xmp=XMP, iptc=IPTC, comment=b"A day \xc3\xa9")


def chunks(name):
    with open(name, "rb") as file:
        png = file.read()
    found, at = [], 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data = png[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + data) == int.from_bytes(png[at + 8 + length :][:4])
        found.append((kind, data))
        at += 12 + length
    return found


def notes(source, target="out.png", **options):
    return kquant.quantize_file(source, target, 8, force=True, **options).notes


ALL = "EXIF, GPS position, XMP, IPTC, copyright, artist and comment"


# ---- named


def test_what_is_left_out_is_named_in_one_line(capsys):
    full_jpeg()
    assert cli.main(["a.jpg"]) == 0
    err = capsys.readouterr().err
    line = f"warning: a.jpg: leaves out {ALL}: keep what still applies with --keep-"
    assert err.count("leaves out") == 1
    assert line in err
    assert cli.main(["a.jpg", "-f", "--strip"]) == 0
    assert "leaves out" not in capsys.readouterr().err
    assert cli.main(["a.jpg", "-fq", "--json"]) == 0
    rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert ALL in rows[0]["warnings"][0]
    assert cli.main(["a.jpg", "-f", "--dry-run"]) == 0
    assert "leaves out" in capsys.readouterr().err


def test_in_place_is_no_way_to_lose_it_quietly(capsys):
    image = Image.fromarray(PHOTO)
    image.save("a.png", exif=exif_bytes())
    assert cli.main(["-i", "a.png"]) == 0
    assert "leaves out EXIF, GPS position, copyright and artist" in (
        capsys.readouterr().err
    )
    image.save("a.png", exif=exif_bytes())
    assert cli.main(["-i", "a.png", "--keep-metadata"]) == 0
    assert "leaves out" not in capsys.readouterr().err
    with Image.open("a.png") as image:
        assert image.mode == "P"
        assert image.getexif()[COPYRIGHT] == "(c) Anna"


def test_a_batch_has_a_line_a_file(capsys):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        jpeg(name, comment=b"mine" if name != "b.jpg" else None)
    assert cli.main(["a.jpg", "b.jpg", "c.jpg"]) == 0
    assert capsys.readouterr().err.count("leaves out comment") == 2


@pytest.mark.parametrize(
    "save",
    [
        lambda: Image.fromarray(PHOTO).save("a.png", dpi=(72, 72)),
        lambda: jpeg("a.png", dpi=(300, 300)),
        lambda: Image.fromarray(PHOTO).save("a.png", exif=plain_exif()),
        lambda: jpeg("a.png", exif=plain_exif()),
        lambda: jpeg("a.png", comment=b"CREATOR: gd-jpeg v1.0, quality = 80"),
        lambda: Image.fromarray(PHOTO).save("a.png", pnginfo=texts(Software="x")),
        lambda: Image.fromarray(PHOTO).save("a.png", "TIFF", software="x", dpi=(9, 9)),
        lambda: Image.fromarray(PHOTO).save("a.png", "TIFF", compression="tiff_lzw"),
        lambda: Image.fromarray(PHOTO).save("a.png", "BMP"),
        lambda: Image.fromarray(PHOTO).save("a.png", "PPM"),
        lambda: Image.fromarray(PHOTO).save("a.png", "JPEG2000"),
        lambda: Image.fromarray(PHOTO).quantize(9).save("a.png", "GIF"),
        lambda: Image.fromarray(PHOTO).save("a.png", "TIFF", description=""),
    ],
)
def test_what_nobody_misses_is_not_named(save):
    save()
    assert notes("a.png") == ()


def plain_exif():
    exif = Image.Exif()
    exif[0x0112], exif[305], exif[282] = 6, "Editor", 72.0
    return exif.tobytes()


def texts(**given):
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    for key, text in given.items():
        info.add_text(key, text)
    return info


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"Copyright": "me"}, "copyright"),
        ({"Author": "me"}, "artist"),
        ({"Description": "it"}, "description"),
        ({"Comment": "it"}, "comment"),
        ({"parameters": "a cat", "Software": "x"}, "text"),
        ({"Title": "it", "Copyright": "me"}, "copyright and text"),
    ],
)
def test_png_texts_are_named_wherever_they_stand(given, names):
    Image.fromarray(PHOTO).save("a.png", pnginfo=texts(**given))
    parts = chunks("a.png")
    said = [part for part in parts if part[0] == b"tEXt"]
    rest = [part for part in parts if part[0] != b"tEXt"]
    for name, order in {"a.png": parts, "b.png": [*rest[:-1], *said, rest[-1]]}.items():
        with open(name, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            for kind, data in order:
                crc = struct.pack(">I", zlib.crc32(kind + data))
                file.write(struct.pack(">I", len(data)) + kind + data + crc)
        (note,) = notes(name)
        assert note.startswith(f"leaves out {names}: keep what")


def save_as(form, name, **options):
    Image.fromarray(PHOTO).save(name, form, **options)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_every_format_that_has_exif_and_xmp(form):
    if form in ("WEBP", "AVIF") and not features.check(form.lower()):
        pytest.skip("this Pillow was built without it")
    more = {"pnginfo": None} if form == "PNG" else {"xmp": XMP}
    if form == "PNG":
        more = {"pnginfo": texts()}
        more["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    if form == "TIFF":
        more = {"tiffinfo": {700: XMP, COPYRIGHT: "(c) Anna", 272: "Model"}}
        save_as(form, "a.x", **more)
        (note,) = notes("a.x")
        assert "leaves out EXIF, XMP and copyright: " in note
    else:
        save_as(form, "a.x", exif=exif_bytes(), **more)
        (note,) = notes("a.x")
        assert "leaves out EXIF, GPS position, XMP, copyright and artist: " in note
    assert notes("a.x", metadata="keep") == ()
    with Image.open("out.png") as image:
        assert image.getexif()[COPYRIGHT] == "(c) Anna"
        assert "rights='me'" in image.info["XML:com.adobe.xmp"]


def test_comments_of_gif_and_ppm():
    image = Image.fromarray(PHOTO).quantize(9)
    image.save("a.gif", comment=b"mine")
    assert notes("a.gif")[0].startswith("leaves out comment: ")
    assert notes("a.gif", "b.gif", metadata="keep") == ()
    with Image.open("b.gif") as image:
        assert image.info["comment"] == b"mine"
    assert notes("a.gif", "b.png", metadata="keep") == ()
    with Image.open("b.png") as image:
        assert image.text == {"Comment": "mine"}
    with open("a.ppm", "wb") as file:
        file.write(b"P6\n# mine\n80 60\n255\n" + PHOTO.tobytes())
    assert notes("a.ppm")[0].startswith("leaves out comment: ")


def test_chunks_that_we_do_not_know_are_named():
    parts = io.BytesIO()
    Image.fromarray(PHOTO).save(parts, "PNG")
    png = parts.getvalue()
    data = b"nine patches"
    chunk = struct.pack(">I", len(data)) + b"npTc" + data
    chunk += struct.pack(">I", zlib.crc32(b"npTc" + data))
    with open("a.png", "wb") as file:
        file.write(png[:33] + chunk + png[33:])
    assert "leaves out chunk npTc" in notes("a.png")[0]


# ---- kept


def check_exif(exif):
    assert exif[0x0112] == 1
    assert exif[COPYRIGHT], exif[ARTIST] == ("(c) Anna", "Anna")
    assert exif[272] == "Model"
    shot, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    assert shot[36867] == "2024:01:02 03:04:05"
    assert shot[40961] == 1  # sRGB, as it is now
    assert (shot[40962], shot[40963]) == (60, 80)  # as it was turned
    assert place[1] == "N"
    assert tuple(map(float, place[2])) == (1, 2, 3)
    assert not exif.get_ifd(1)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_what_still_applies_is_kept(suffix):
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    full_jpeg()
    lost = notes("a.jpg", f"b.{suffix}", metadata="keep")
    with Image.open(f"b.{suffix}") as image:
        assert image.size == (60, 80)
        check_exif(image.getexif())
        with open(f"b.{suffix}", "rb") as file:
            content = file.read()
        assert b"THUMBNAIL" not in content
        if suffix != "tif":
            assert b"MakerNote\0\1\2" in content
        xmp = image.info.get("xmp") or image.info["XML:com.adobe.xmp"]
        xmp = xmp if isinstance(xmp, bytes) else xmp.encode()
        assert xmp == XMP.replace(b'Orientation="6"', b'Orientation="1"')
        if suffix == "png":
            assert image.text["Comment"] == "A day é"
            assert IPTC.hex() in image.text["Raw profile type iptc"].replace("\n", "")
        if suffix == "tif":
            assert bytes(image.tag_v2[33723]) == IPTC
        shown = np.asarray(image.convert("RGB"))
    plain = kquant.quantize_file("a.jpg", "plain.png", 8).image
    assert np.array_equal(shown, plain.to_array())
    expected = {
        "png": (),
        "webp": (
            "leaves out IPTC and comment, which a .webp file of ours cannot hold",
        ),
        "tif": ("leaves out comment, which a .tif file of ours cannot hold",),
    }
    assert lost == expected[suffix]


@pytest.mark.parametrize("suffix", ["gif", "bmp"])
def test_formats_that_hold_little_say_so(suffix):
    full_jpeg()
    (note,) = notes("a.jpg", f"a.{suffix}", metadata="keep")
    names = (
        ALL
        if suffix == "bmp"
        else ALL.replace(" and comment", "").replace("copyright, ", "copyright and ")
    )
    assert note == f"leaves out {names}, which a .{suffix} file of ours cannot hold"


@pytest.mark.parametrize("suffix", ["webp", "tif"])
def test_texts_of_png_become_tags(suffix):
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    info = texts(Copyright="© Zoë", Author="Zoë", parameters="a cat")
    Image.fromarray(PHOTO).save("a.png", pnginfo=info)
    (note,) = notes("a.png", f"b.{suffix}", metadata="keep")
    assert note.startswith("leaves out text, which")
    with open(f"b.{suffix}", "rb") as file:
        content = file.read()
    assert "© Zoë".encode() in content
    with Image.open(f"b.{suffix}") as image:
        assert {COPYRIGHT, ARTIST} <= set(image.getexif())


@pytest.mark.parametrize(
    ("key", "text"),
    [("Comment", "é"), ("Comment", "漢字" * 9), ("Title", "x" * 5000),
     ("Title", "漢" * 5000)],
)  # fmt: skip
def test_texts_come_out_as_they_went_in(key, text):
    info = texts()
    info.add_itxt(key, text)
    Image.fromarray(PHOTO).save("a.png", pnginfo=info)
    assert notes("a.png", metadata="keep") == ()
    with Image.open("out.png") as image:
        image.load()
        assert image.text[key] == text
    before = os.path.getsize("out.png")
    assert before < len(text.encode()) + 5000


def test_profile_of_exif_says_srgb_only_where_it_is():
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({40961: 65535, 36867: "2024:01:02 03:04:05"})
    exif[272] = "Model"
    jpeg(exif=exif.tobytes())
    notes("a.jpg", metadata="keep")
    with Image.open("out.png") as image:
        assert image.getexif().get_ifd(0x8769)[40961] == 1


def test_strip_and_keep_contradict():
    with pytest.raises(ValueError, match=r"strip leaves out .*give one of them"):
        kquant.quantize_file("a.jpg", strip=True, metadata="keep")
    with pytest.raises(ValueError, match="metadata must be one of 'drop', 'keep'"):
        kquant.quantize_file("a.jpg", metadata="some")


@pytest.mark.parametrize("seed", range(40))
def test_damaged_exif_never_stands_in_the_way(seed):
    rng = np.random.default_rng(seed)
    exif = bytearray(b"Exif\0\0" + with_thumbnail(exif_bytes(6)))
    for place in rng.integers(6, len(exif), 1 + seed // 4):
        exif[place] = rng.integers(256)
    jpeg(exif=bytes(exif[: len(exif) - seed * 3]))
    for name in ("a.png", "a.webp", "a.tif"):
        try:
            notes("a.jpg", name, metadata="keep")
        except kquant.ImageFileError as error:
            assert "damaged" in error.problem  # noqa: PT017
            continue
        with Image.open(name) as image:
            image.load()


# ---- place on earth

GEO = {
    33550: (12, (10.0, 10.0, 0.0)),
    33922: (12, (0.0, 0.0, 0.0, 500000.0, 4100000.0, 0.0)),
    34264: (12, tuple(map(float, range(16)))),
    34735: (3, (1, 1, 0, 1, 3072, 0, 1, 32632)),
    34736: (12, (6378137.0, 298.25)),
    34737: (2, "WGS 84 / UTM zone 32N|"),
    42112: (2, "<GDALMetadata><Item>1</Item></GDALMetadata>"),
    42113: (2, "0"),
}


def geotiff(name="scene.tif", pixels=PHOTO, tags=GEO, **more):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, (kind, value) in tags.items():
        info.tagtype[tag] = kind
        info[tag] = value
    for tag, value in more.pop("info", {}).items():
        info[tag] = value
    Image.fromarray(pixels).save(name, "TIFF", tiffinfo=info, **more)
    return name


def geo_of(name):
    with Image.open(name) as image:
        return {tag: value for tag, value in image.tag_v2.items() if tag in GEO}


@pytest.mark.parametrize("metadata", ["drop", "keep"])
@pytest.mark.parametrize("big", [False, True])
def test_place_is_copied_to_tiff(metadata, big):
    geotiff(big_tiff=big)
    before = geo_of("scene.tif")
    assert len(before) == len(GEO)
    assert notes("scene.tif", "b.tif", metadata=metadata) == ()
    assert geo_of("b.tif") == before
    assert cli.main(["-i", "-k8", "-q", "scene.tif"]) == 0
    assert geo_of("scene.tif") == before
    with Image.open("scene.tif") as image:
        assert image.mode == "P"
        shown = np.asarray(image.convert("RGB"))
    assert np.array_equal(shown, kquant.quantize(PHOTO, 8).to_array())


@pytest.mark.parametrize("tag", GEO)
def test_each_of_the_tags_alone(tag):
    geotiff(tags={tag: GEO[tag]})
    before = geo_of("scene.tif")
    assert notes("scene.tif", "b.tiff") == ()
    assert geo_of("b.tiff") == before
    (note,) = notes("scene.tif", "b.png")
    name = {42112: "GDAL metadata", 42113: "nodata value"}.get(tag, "place on earth")
    assert note == f"leaves out its {name}: a TIFF can hold it, so use -o NAME.tif"
    assert notes("scene.tif", "b.png", strip=True) == ()
    assert notes("scene.tif", "b.tif", strip=True) == ()
    assert not geo_of("b.tif")


def test_big_ends_are_read(tmp_path):
    data = struct.pack(">2sHI", b"MM", 42, 8)
    entries = [
        (256, 3, 1, struct.pack(">HH", 4, 0)), (257, 3, 1, struct.pack(">HH", 4, 0)),
        (258, 3, 1, struct.pack(">HH", 8, 0)), (259, 3, 1, struct.pack(">HH", 1, 0)),
        (262, 3, 1, struct.pack(">HH", 1, 0)), (273, 4, 1, struct.pack(">I", 600)),
        (277, 3, 1, struct.pack(">HH", 1, 0)), (278, 3, 1, struct.pack(">HH", 4, 0)),
        (279, 4, 1, struct.pack(">I", 16)), (33550, 12, 3, struct.pack(">I", 400)),
        (34735, 3, 4, struct.pack(">I", 450)),
    ]  # fmt: skip
    data += struct.pack(">H", len(entries))
    for tag, kind, count, value in entries:
        data += struct.pack(">HHI", tag, kind, count) + value
    data = data.ljust(400, b"\0") + struct.pack(">3d", 10, 20, 0)
    data = data.ljust(450, b"\0") + struct.pack(">4H", 1, 1, 0, 0)
    (tmp_path / "a.tif").write_bytes(data.ljust(600, b"\0") + bytes(range(16)))
    notes("a.tif", "b.tif")
    assert geo_of("b.tif") == {33550: (10, 20, 0), 34735: (1, 1, 0, 0)}


def test_place_is_not_lost_in_place(capsys):
    geotiff("scene.png")
    with open("scene.png", "rb") as file:
        before = file.read()
    for arguments in (["-i", "scene.png"], ["-f", "scene.png", "-o", "scene.png"]):
        assert cli.main([*arguments, "-k8"]) == 1
        assert "would lose its place on earth" in capsys.readouterr().err
    with pytest.raises(kquant.ImageFileError, match=r"would lose .*strip"):
        kquant.quantize_file("scene.png", "scene.png", force=True)
    with open("scene.png", "rb") as file:
        assert file.read() == before
    assert cli.main(["-i", "scene.png", "--strip"]) == 0


def test_place_of_a_turned_picture_is_no_longer_right(capsys):
    geotiff(info={274: 6})
    (note,) = notes("scene.tif", "b.tif")
    assert note.startswith("leaves out its place on earth (of a picture that is")
    assert not geo_of("b.tif")
    assert cli.main(["-i", "scene.tif"]) == 1
    assert "would lose its" in capsys.readouterr().err


def test_place_in_jpeg_2000():
    inside = io.BytesIO()
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (33550, 33922, 34735):
        info.tagtype[tag] = GEO[tag][0]
        info[tag] = GEO[tag][1]
    Image.new("L", (1, 1)).save(inside, "TIFF", tiffinfo=info)
    box = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03") + inside.getvalue()
    if not features.check("jpg_2000"):
        pytest.skip("this Pillow was built without JPEG 2000")
    Image.fromarray(PHOTO).save("a.jp2")
    with open("a.jp2", "rb") as file:
        jp2 = file.read()
    at = jp2.index(b"jp2c") - 4
    box = struct.pack(">I4s", len(box) + 8, b"uuid") + box
    with open("a.jp2", "wb") as file:
        file.write(jp2[:at] + box + jp2[at:])
    assert "place on earth" in notes("a.jp2")[0]
    assert notes("a.jp2", "b.tif") == ()
    assert set(geo_of("b.tif")) == {33550, 33922, 34735}


@pytest.mark.parametrize("value", ["0", "255", "7", "20", "0.0"])
@pytest.mark.parametrize("there", [True, False])
def test_the_index_of_no_data_is_that_of_its_pixels_alone(value, there):
    level = int(float(value))
    pixels = np.clip(PHOTO, 30, 240)
    if there:
        pixels[:30, :40] = level
    geotiff(pixels=pixels, tags={42113: (2, value)})
    lost = notes("scene.tif", "b.tif", lock=[[level] * 3] if there else None)
    assert lost == ()
    with Image.open("b.tif") as image:
        assert image.tag_v2[42113] == value
        none = np.asarray(image) == level
        shown = np.asarray(image.convert("RGB"))
    assert np.array_equal(none, (pixels == level).all(axis=2))
    report = kquant.quantize_file(
        "scene.tif", "c.png", 8, lock=[[level] * 3] if there else None
    )
    assert np.array_equal(shown, report.image.to_array())


def test_no_data_that_is_lost_is_said():
    pixels = np.clip(PHOTO, 30, 240)
    pixels[0, 0] = 0
    geotiff(pixels=pixels, tags={42113: (2, "0")})
    assert "keep them with --lock '#000000'" in notes("scene.tif", "b.tif")[0]
    fixed = ["#ffffff", "#888888", "#000000"]
    (note,) = notes("scene.tif", "b.tif", palette=fixed)
    assert "nodata value 0 is now the index of a colour" in note
    with Image.open("b.tif") as image:
        assert image.getpalette()[:9] == [255] * 3 + [136] * 3 + [0] * 3


def test_private_tags_and_layers_are_named():
    geotiff(tags={}, info={50839: b"ImageJ", 37724: b"8BPS"})
    (note,) = notes("scene.tif")
    assert "layers of Photoshop and private tags (50839)" in note


def test_keeping_is_the_same_for_all_threads():
    full_jpeg()
    seen = set()
    for threads, suffix in itertools.product((1, 2), ("png", "tif")):
        notes("a.jpg", f"b.{suffix}", metadata="keep", threads=threads)
        with open(f"b.{suffix}", "rb") as file:
            seen.add(file.read())
    assert len(seen) == 2


def test_thumbnails_of_xmp_go_with_those_of_exif():
    small = b"<xmp:Thumbnails><rdf:Alt>AAAA</rdf:Alt></xmp:Thumbnails>"
    jpeg(xmp=XMP.replace(b"</rdf", small + b"</rdf"))
    assert notes("a.jpg", metadata="keep") == ()
    with open("out.png", "rb") as file:
        content = file.read()
    assert b"rights='me'" in content
    assert b"Thumbnails" not in content


def test_bombs_of_text_are_defused():
    data = b"Comment\0\0" + zlib.compress(bytes(65) * (1 << 18), 9)
    bomb = struct.pack(">I", len(data)) + b"zTXt" + data
    bomb += struct.pack(">I", zlib.crc32(b"zTXt" + data))
    Image.fromarray(PHOTO).save("a.png")
    with open("a.png", "rb") as file:
        png = file.read()
    with open("a.png", "wb") as file:
        file.write(png[:-12] + bomb * 300 + png[-12:])
    with open("a.png", "rb") as file:
        found = kquant.files.metadata.read_metadata(file)
    assert sum(len(text) for _, text in found.texts) <= 1 << 25
