import { listLedger } from '../../core/ledger/statement.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { ledgerLine } from '../http/ledger-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.listLedger, async ({ caller, deps, query }) => {
  const limit = Number(query.limit ?? 1000)
  const cursor = query.cursor === undefined ? undefined : Number(query.cursor)
  const { entries, next } = await listLedger(deps, caller.account, { limit, cursor })
  const link = `</v1/ledger?limit=${limit}&cursor=${next}>; rel="next"`
  return reply(200, entries.map(ledgerLine), next === undefined ? {} : { link })
})
