import { describe, expect, test } from 'vitest'
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

describe('a refused field is named with what to change, and without its value', () => {
  const refusal = (schema: Parameters<typeof validate>[0], value: unknown) => {
    try {
      validate(schema, value)
      return 'nothing'
    } catch (error) {
      return (error as { fields: { field: string; message: string }[] }).fields.map(
        ({ field, message }) => `${field} ${message}`,
      )
    }
  }

  test.each([
    [z.object({ a: z.string() }), {}, ['a is required']],
    [z.object({ a: z.string() }), { a: 7 }, ['a must be of type string']],
    [z.object({ a: z.string() }), { a: null }, ['a must be of type string']],
    [z.object({ a: z.object({ b: z.number() }) }), { a: { b: 'x' } }, ['a.b must be of type number']],
    [z.array(z.string()), ['x', 7], ['1 must be of type string']],
    [z.string(), 7, ['body must be of type string']],
    [z.object({ a: z.int().check(z.minimum(3)) }), { a: 2 }, ['a must be at least 3']],
    [z.object({ a: z.number().check(z.maximum(3)) }), { a: 4 }, ['a must be at most 3']],
    [z.object({ a: z.string().check(z.minLength(3)) }), { a: 'x' }, ['a must have at least 3 characters']],
    [z.object({ a: z.string().check(z.maxLength(1)) }), { a: 'xy' }, ['a must have at most 1 characters']],
    [z.object({ a: z.array(z.string()).check(z.minLength(1)) }), { a: [] }, ['a must have at least 1']],
    [z.object({ a: z.array(z.string()).check(z.maxLength(0)) }), { a: ['x'] }, ['a must have at most 0']],
    [z.object({ a: z.enum(['b', 'c']) }), { a: 'x' }, ['a must be one of b, c']],
    [z.object({ a: z.string().check(z.regex(/^b$/, 'must be b')) }), { a: 'x' }, ['a must be b']],
    [z.object({ a: z.string().check(z.regex(/^b$/)) }), { a: 'x' }, ['a is not valid']],
  ])('%#', (schema, value, expected) => {
    expect(refusal(schema, value)).toEqual(expected)
  })

  test('also one that there is not, unless its name may be a value', () => {
    const schema = z.strictObject({ in: z.optional(z.strictObject({})) })
    const unknown = { b_C: 1, [`${'x'.repeat(24)}`]: 1, [`${'x'.repeat(25)}`]: 1, 'a b': 1, a1: 1 }
    const hidden = 'body has a field that is not one of this request'
    expect(refusal(schema, unknown)).toEqual([
      'b_C is not a field of this request',
      `${'x'.repeat(24)} is not a field of this request`,
      ...[hidden, hidden, hidden],
    ])
    expect(refusal(schema, { in: { d: 1, '1': 1 } })).toEqual([
      'in has a field that is not one of this request',
      'in.d is not a field of this request',
    ])
  })

  test('20 at most', () => {
    const fields = refusal(z.array(z.string()), Array(30).fill(7))
    expect([fields.length, fields.at(-1)]).toEqual([20, '19 must be of type string'])
  })

  test('and the value as the schema has parsed it is the answer to a right one', () => {
    expect(validate(z.object({ a: z.string() }), { a: 'x', more: 1 })).toEqual({ a: 'x' })
  })
})
