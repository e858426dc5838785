/* The names of one instruction-set level: kq_assign becomes kq_assign_v3. For the files
that are compiled once for each level, which include this before kquant.h. */
#ifndef KQUANT_LEVEL_H
#define KQUANT_LEVEL_H

#define KQ_JOIN_(name, level) name##_##level
#define KQ_JOIN(name, level) KQ_JOIN_(name, level)

#define kq_assign KQ_JOIN(kq_assign, KQ_LEVEL)
#define kq_assign_alpha KQ_JOIN(kq_assign_alpha, KQ_LEVEL)
#define kq_measure KQ_JOIN(kq_measure, KQ_LEVEL)
#define kq_prepare KQ_JOIN(kq_prepare, KQ_LEVEL)
#define kq_diffuse KQ_JOIN(kq_diffuse, KQ_LEVEL)
#define kq_mix KQ_JOIN(kq_mix, KQ_LEVEL)
#define kq_ordered KQ_JOIN(kq_ordered, KQ_LEVEL)

#endif
