import * as z from 'zod/mini'

/** The name of a service. With these characters it names no item of another kind. */
export const serviceName = z
  .string()
  .check(
    z.regex(
      /^[a-z0-9][a-z0-9-]{0,39}$/,
      'must have 1 to 40 lower-case letters, digits and hyphens, and begin with a letter or digit',
    ),
  )
