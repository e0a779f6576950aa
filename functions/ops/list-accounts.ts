import { listAccounts } from '../../core/reports/list-accounts.ts'
import { endpoint } from '../http/endpoint.ts'
import { accountLineShape } from '../http/report-shapes.ts'
import { dayEndMs, dayStartMs } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

const isTrue = (flag: 'true' | 'false' | undefined) => (flag === undefined ? undefined : flag === 'true')

export const handler = endpoint(ops.listAccounts, async ({ query, deps }) => {
  const { standing, bundle, paid, low, owed, undeliverable, from, to, cursor } = query
  const filter = {
    ...{ standing, bundle, paid: isTrue(paid) },
    ...{ low: isTrue(low), owed: isTrue(owed), undeliverable: isTrue(undeliverable) },
    fromMs: from === undefined ? undefined : dayStartMs(from),
    toMs: to === undefined ? undefined : dayEndMs(to),
  }
  const { accounts, next } = await listAccounts(deps, filter, cursor)
  return { accounts: accounts.map(accountLineShape), next: next ?? null }
})
