import { expect } from 'vitest'
import { rows } from '../../functions/http/rows.ts'
import type { App } from '../support/app.ts'
import { sampleOf, tokenOf } from '../support/samples.ts'
import { targetOf } from './contract.ts'

/**
 * The cost of an endpoint, counted on the wire: DynamoDB calls with their read and write units, and calls to
 * other services. A change of these numbers must be intended.
 */
export interface Cost {
  dynamodb: Record<string, number>
  readUnits: number
  writeUnits: number
  cognito?: Record<string, number>
  mail?: Record<string, number>
  kms?: Record<string, number>
  lambda?: Record<string, number>
  events?: Record<string, number>
  stripe?: Record<string, number>
}

export const nothingElse = { cognito: {}, mail: {}, kms: {}, lambda: {}, events: {}, stripe: {} }

/** A row that guards something pays one write more than is listed: the count of requests by their network address. */
export function withSourceCount(route: string, listed: Cost): Cost {
  const row = rows.find(({ routes }) => (routes as readonly string[]).includes(route))
  if (!row?.guards) return listed
  const { UpdateItem = 0 } = listed.dynamodb
  const dynamodb = { ...listed.dynamodb, UpdateItem: UpdateItem + 1 }
  return { ...listed, dynamodb, writeUnits: listed.writeUnits + 1 }
}

/** Asserts the cost of a row's sample in `test/support/samples.ts`. */
export async function expectSampleCost(app: App, route: string, expected: Cost): Promise<void> {
  const row = rows.find(({ routes }) => (routes as readonly string[]).includes(route))
  if (!row) throw new Error(`no row has the route ${route}`)
  const person = await app.signUp()
  const token = await tokenOf(app, row, person)
  const { path, query, body } = await sampleOf(app, row, person)
  const [method, target] = targetOf(route, path)
  const asked = `${target}?${new URLSearchParams(query)}`
  app.resetCalls()
  const { status } = await app.request(method, asked, { token, ...(body && { json: body }) })
  expect([status < 300, app.calls()]).toEqual([true, { ...nothingElse, ...withSourceCount(route, expected) }])
}
