import { expect, test } from 'vitest'
import * as z from 'zod/mini'
import { config } from 'zod/v4/core'
import { validate } from '../../functions/http/validate.ts'

test('a library that has set texts for all of zod changes no refusal', () => {
  const { localeError } = config()
  config({ localeError: () => 'a text of another library' })
  try {
    const schema = z.strictObject({ code: z.string().check(z.regex(/^a$/)) })
    expect(() => validate(schema, { code: 'b' })).toThrow(
      expect.objectContaining({ fields: [{ field: 'code', message: 'is not valid' }] }),
    )
  } finally {
    config({ localeError })
  }
})
