/* The names of one instruction-set level: kq_assign becomes kq_assign_v3. */
#ifndef KQUANT_LEVEL_H
#define KQUANT_LEVEL_H

#define KQ_JOIN_(name, level) name##_##level
#define KQ_JOIN(name, level) KQ_JOIN_(name, level)
#define KQ_LEVEL_NAME(name) KQ_JOIN(name, KQ_LEVEL)

#endif
