import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { attr, type Expression, expr, join, type Placeholders, render } from '../../core/table/expression.ts'

/** The text, names and values of expressions that are rendered together. */
function rendered(...expressions: Expression[]) {
  const names: Placeholders = {}
  const text = expressions.map((expression) => render(expression, names)).join(' | ')
  return { text, names: names.ExpressionAttributeNames, values: names.ExpressionAttributeValues }
}

/** The text with each placeholder replaced by its name or value, as DynamoDB reads it. */
function resolved(expression: Expression): string {
  const { text, names = {}, values = {} } = rendered(expression)
  return text.replace(/[#:]\w+/g, (alias) => JSON.stringify(alias in names ? names[alias] : values[alias]))
}

describe('render', () => {
  test('names and values are placeholders, never text', () => {
    expect(rendered(expr`SET #status = ${'active'}, #size = ${3}`)).toEqual({
      text: 'SET #status = :0, #size = :1',
      names: { '#status': 'status', '#size': 'size' },
      values: { ':0': 'active', ':1': 3 },
    })
  })

  test('a name that is used twice is one placeholder', () => {
    const { text, names } = rendered(expr`SET #left = #left - ${1}`)
    expect([text, names]).toEqual(['SET #left = #left - :0', { '#left': 'left' }])
  })

  test('expressions of one request share names but never a value', () => {
    expect(rendered(expr`SET #a = ${1}`, expr`#a = ${1} AND #b = ${2}`)).toEqual({
      text: 'SET #a = :0 | #a = :1 AND #b = :2',
      names: { '#a': 'a', '#b': 'b' },
      values: { ':0': 1, ':1': 1, ':2': 2 },
    })
  })

  test('an expression without names or values has no such maps, because DynamoDB refuses empty ones', () => {
    expect(rendered(expr`attribute_not_exists(pk)`)).toEqual({ text: 'attribute_not_exists(pk)' })
    expect(rendered(expr`attribute_exists(#pk)`).values).toBe(undefined)
    expect(rendered(expr`size(pk) > ${3}`).names).toBe(undefined)
  })

  test('each name in a path is a placeholder', () => {
    expect(resolved(expr`REMOVE #sessions.${attr('a.b')}`)).toBe('REMOVE "sessions"."a.b"')
  })

  test('no two attributes known at run time share a placeholder, and none shares one with a name', () => {
    const expression = expr`SET #a.${attr('x')} = ${1}, #b.${attr('y')} = ${2}, #a.${attr('z')} = ${3}`
    expect(resolved(expression)).toBe('SET "a"."x" = 1, "b"."y" = 2, "a"."z" = 3')
  })

  test('the text is the same for every value and every attribute name', () => {
    const text = (name: string, value: string) => rendered(expr`SET #map.${attr(name)} = ${value}`).text
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, value) => {
        expect(text(name, value)).toBe('SET #map.#_1 = :0')
      }),
    )
  })
})

describe('join', () => {
  test('keeps texts and values in their order', () => {
    const joined = join([expr`#a = ${1}`, expr`${2} = #b`, expr`attribute_exists(#c)`], ' AND ')
    expect(resolved(joined)).toBe('"a" = 1 AND 2 = "b" AND attribute_exists("c")')
  })

  test('returns a single expression unchanged', () => {
    expect(join([expr`#a = ${1}`], ' AND ')).toEqual(expr`#a = ${1}`)
  })

  test('joins expressions that are joined already', () => {
    const inner = join([expr`#a = ${1}`, expr`#b = ${2}`], ', ')
    expect(resolved(join([expr`SET #c = ${3}`, inner], ' REMOVE '))).toBe(
      'SET "c" = 3 REMOVE "a" = 1, "b" = 2',
    )
  })
})
