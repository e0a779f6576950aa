import { beforeEach, describe, expect, test } from 'vitest'
import { parseAudit } from '../../core/audit/entry.ts'
import { mayAct, ROLES, type Role } from '../../core/operators/operator.ts'
import type { Placed } from '../../functions/http/route.ts'
import { operatorRows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import { targetOf } from './contract.ts'

const app = await startApp()
beforeEach(app.startAfresh)

/** Sends the sample of a row as an operator. */
async function sendSample(row: Placed, operator: Role) {
  const { path, query, body } = await sampleOf(app, row, await app.signUp())
  const [method, target] = targetOf(row.routes[0], path)
  const search = new URLSearchParams(query).toString()
  const asked = search === '' ? target : `${target}?${search}`
  const answer = await app.request(method, asked, { operator, ...(body && { json: body }) })
  return { answer, reason: body?.reason }
}

const entriesOf = async (role: Role) => {
  const { table } = await app.ports()
  return (await table.list(`OPERATOR#local-${role}`, 'AUDIT#')).map(parseAudit)
}

const table = operatorRows.map((row) => [rowKey(row), row] as const)

test.each(table)('%s answers 2xx to its role and to every higher one', async (_, row) => {
  for (const role of ROLES.filter((each) => mayAct(each, row.role as Role))) {
    const { answer } = await sendSample(row, role)
    expect([role, answer.status, answer.status < 300]).toEqual([role, answer.status, true])
  }
})

/** The role `read` changes nothing, though a question may need a body. */
const isReading = ({ role, routes }: Placed) => role === 'read' || routes[0].startsWith('GET ')

describe('the audit log', () => {
  const changing = table.filter(([, row]) => !isReading(row))

  test.each(changing)('%s leaves an entry of its operator, with the reason', async (_, row) => {
    const { answer, reason } = await sendSample(row, 'admin')
    expect(answer.status).toBeLessThan(300)
    // What the sample stands on may have taken actions of an operator, too.
    const own = answer.headers.get('apigw-requestid')
    const entries = (await entriesOf('admin')).filter(({ requestId }) => requestId === own)
    expect(entries).not.toEqual([])
    for (const entry of entries)
      expect(entry).toMatchObject({ by: 'operator', name: 'local-admin', action: expect.any(String) })
    const reasons = entries.map((entry) => entry.reason)
    // An erasure takes every free text, its own reason as well.
    if (row.name === 'erase') expect(reasons).toEqual([undefined])
    else expect(reasons.join('\n')).toContain(reason)
  })

  test.each(table.filter(([, row]) => isReading(row)))('%s reads, and leaves no entry', async (_, row) => {
    const { answer } = await sendSample(row, 'admin')
    const own = answer.headers.get('apigw-requestid')
    expect((await entriesOf('admin')).filter(({ requestId }) => requestId === own)).toEqual([])
  })
})
