import { auditWrites } from '../../core/audit/entry.ts'
import { AUDIT_PREFIX, keys, OUT_EVENT_PREFIX } from '../../core/table/keys.ts'
import type { App } from './app.ts'
import type { SignedInPerson } from './people.ts'
import type { TestAnswer } from './send.ts'

/** Sends a request of an operator about an account. @param action the rest of the path, such as `suspend` */
export async function operate(
  app: App,
  accountId: string,
  action: string,
  json: object = {},
  operator: 'support' | 'admin' = 'support',
): Promise<TestAnswer> {
  // Entries of the audit log are in the order of their times.
  app.advance(1)
  return app.request('POST', `/ops/${operator}/accounts/${accountId}/${action}`, {
    operator,
    json: { reason: 'Ticket 4711', ...json },
  })
}

/** As `mailsTo`, without the mail with which every person of the tests has confirmed the address. */
export async function newsTo(app: App, { email }: Pick<SignedInPerson, 'email'>): Promise<string[]> {
  await app.job('send-mail')
  const subjects = app.stack.mail.messages(email).map(({ subject }) => subject)
  return subjects.filter((subject) => subject !== 'Confirm your e-mail address')
}

/**
 * What an account's audit log says of operators, and its events for other systems since its address was
 * confirmed, oldest first.
 */
export async function recordedOf(
  app: App,
  { accountId }: Pick<SignedInPerson, 'accountId'>,
): Promise<{ audit: { action: string; [name: string]: unknown }[]; events: [type: string, data: object][] }> {
  const { table } = await app.ports()
  const list = (prefix: string) => table.list(keys.account(accountId), prefix)
  const audit = (await list(AUDIT_PREFIX))
    .filter(({ action }) => String(action).startsWith('operator.'))
    .map(({ action, by, name, reason, before, after }) => ({
      action: String(action),
      by,
      name,
      reason,
      before,
      after,
    }))
  const events = (await list(OUT_EVENT_PREFIX))
    .map(({ type, data }) => [String(type), data as object] as [string, object])
    .filter(([type]) => type !== 'account.registered' && type !== 'account.confirmed')
  return { audit, events }
}

/** The message types of an account's notices, oldest first, read from the table. */
export async function noticeTypes(
  app: App,
  { accountId }: Pick<SignedInPerson, 'accountId'>,
): Promise<string[]> {
  const { table } = await app.ports()
  const items = await table.list(keys.account(accountId), 'NOTICE#')
  return items.map(({ messageType }) => String(messageType))
}

/** Records in the audit log that an operator has acted on an account, a second later. */
export async function recordAction(app: App, name: string, accountId: string): Promise<void> {
  app.advance(1000)
  const deps = {
    ...(await app.ports()),
    origin: { by: 'operator', name, requestId: 'r', ip: '192.0.2.7' } as const,
  }
  const facts = { reason: 'asked on the phone', before: { units: 1 }, after: { units: 2 } }
  await deps.table.transact(auditWrites(deps, { accountId, action: 'operator.added', ...facts }))
}
