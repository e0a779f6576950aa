import type { App } from './app.ts'
import type { SignedInPerson } from './people.ts'
import type { TestAnswer } from './send.ts'

/** An operator of the role `support` acts on the person's account. @param what the path after the account. */
export const operate = (
  app: App,
  { accountId }: Pick<SignedInPerson, 'accountId'>,
  what: string,
  body: Record<string, unknown>,
  key?: string,
): Promise<TestAnswer> =>
  app.request('POST', `/ops/support/accounts/${accountId}/${what}`, {
    operator: 'support',
    json: { reason: 'a ticket', ...body },
    ...(key !== undefined && { headers: { 'idempotency-key': key } }),
  })
