import { displayName } from '../../core/account/account.ts'
import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { accountsByPage } from '../../core/reports/numbered-lists.ts'
import { emcpAccount } from '../http/account-shapes.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { nextPage, numberedPage } from '../http/page-query.ts'
import { admin } from './routes.ts'

export const handler = endpoint(admin.listUsers, async ({ query, deps }) => {
  const page = numberedPage(query)
  const { accounts, hasNext } = await accountsByPage(deps, page)
  const users = accounts.map((account) => emcpAccount(account, displayName(account), CURRENCY))
  return reply(200, users, nextPage('/admin/api/users', page, hasNext))
})
