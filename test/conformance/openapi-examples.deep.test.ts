import { writeFileSync } from 'node:fs'
import { afterAll, beforeEach, expect, test } from 'vitest'
import {
  EXAMPLES_FILE,
  type Example,
  exampleKey,
  hasExample,
  readExamples,
} from '../../functions/http/openapi-examples.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { exampleOf } from '../support/example-of.ts'

const app = await startApp()
beforeEach(() => app.startAfresh())

/** The rows whose examples `npm run generate` wants, with a comma between; else all are compared. */
const wanted = process.env.EXAMPLES?.split(',')
const stored = readExamples()
const tried = rows.filter((row) => hasExample(row) && (wanted?.includes(exampleKey(row)) ?? true))

/** The members of an example. Their values may be others each time. */
const formOf = ({ path, query, body, answers = {} }: Example = {}) => [
  ...[path, query, body].map((part) => Object.keys(part ?? {}).sort()),
  ...Object.entries(answers).map(([status, answer]) => {
    // Entries of one moment come in any order.
    const members = [answer].flat().flatMap((one) => Object.keys(one ?? {}))
    return [status, ...[...new Set(members)].sort()]
  }),
]

afterAll(() => {
  if (!wanted) return
  const known = rows.map(exampleKey).filter((key) => stored[key])
  const kept = Object.fromEntries(known.map((key) => [key, stored[key]]))
  writeFileSync(EXAMPLES_FILE, `${JSON.stringify(kept, null, 2)}\n`)
})

test.each(tried.map((row) => [exampleKey(row), row] as const))(
  'the example of %s is what it answers to its sample',
  async (key, row) => {
    const example = await exampleOf(app, row)
    if (wanted) stored[key] = example
    expect(formOf(stored[key])).toEqual(formOf(example))
  },
)
