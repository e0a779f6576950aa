import * as z from 'zod/mini'

/**
 * A field that may be left out. HTML forms, and pages that send what their inputs hold, send "" for an input that a
 * person leaves empty, which is the same. Every optional field is one, apart from flags, which have no empty state,
 * from ids of requests, whose repeats would not be recognised, and from cursors, whose list would begin again.
 */
export const optionalField = <S extends z.ZodMiniType>(schema: S) =>
  z.optional(z.pipe(z.transform(absentIfEmpty), z.optional(schema)))

const absentIfEmpty = (sent: unknown): unknown => (sent === '' ? undefined : sent)
