import { expect, test } from 'vitest'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { rowKey, sampleOf, tokenOf } from '../support/samples.ts'
import { expectContract, targetOf } from './contract.ts'

const app = await startApp()

/** Values for any field, as JSON text. */
const HOSTILE = [
  `"${'a'.repeat(1500)}"`,
  `"${'\\u0301\\u0323'.repeat(1300)}"`,
  '"\\u0000"',
  '"\\ud800"',
  '"🔑"',
  '"%00%ff%2F%ed%a0%80!"',
  '".."',
  '""',
  '"-1"',
  '"1e400"',
  '"NaN"',
  '-9007199254740993',
  '1e400',
  '1e-400',
  '-0',
  'null',
  '[["x"]]',
  '{"__proto__":{"x":1}}',
]

/** Every place of a value in a body, with those in objects and arrays. */
function placesIn(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path]
  const inner = Object.entries(value).flatMap(([name, each]) => placesIn(each, [...path, name]))
  return path.length > 0 ? [path, ...inner] : inner
}

/** The JSON text of a body with another value at one place. */
function replaced(value: unknown, [name, ...rest]: string[], json: string): string {
  if (name === undefined) return json
  const text = (key: string, each: unknown) =>
    key === name ? replaced(each, rest, json) : JSON.stringify(each)
  const entries = Object.entries(value as object)
  return Array.isArray(value)
    ? `[${entries.map(([key, each]) => text(key, each)).join()}]`
    : `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${text(key, each)}`).join()}}`
}

const takers = rows.filter(({ body }) => body).map((row) => [rowKey(row), row] as const)

test.each(takers)('%s: no value of any field is a failure', async (_, row: Placed) => {
  const subject = async () => {
    const person = await app.signUp()
    return { token: await tokenOf(app, row, person), sample: await sampleOf(app, row, person) }
  }
  let { token, sample } = await subject()
  for (const path of placesIn(sample.body)) {
    for (const json of HOSTILE) {
      const [method, target] = targetOf(row.routes.at(-1) ?? '', sample.path)
      const answer = await app.request(method, target, {
        token,
        body: replaced(sample.body, path, json),
        headers: { 'content-type': 'application/json' },
      })
      expect([path, json.slice(0, 40), answer.status < 500]).toEqual([path, json.slice(0, 40), true])
      expectContract(row, answer)
      // A success may have used up the sample.
      if (answer.status < 300) ({ token, sample } = await subject())
    }
  }
})
