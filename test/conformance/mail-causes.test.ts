import { beforeEach, describe, expect, test } from 'vitest'
import { emailKey } from '../../core/account/fields.ts'
import type { MailRequestPurpose } from '../../core/credentials/mail-requests.ts'
import { type Limited, limitKey } from '../../core/limits/limits.ts'
import { mailboxOf } from '../../core/limits/mailbox.ts'
import { mailCauses } from '../../core/notifications/mail-causes.ts'
import { type MailTemplate, mailTemplates } from '../../core/notifications/mails.ts'
import { queueMail } from '../../core/notifications/outbox.ts'
import { keys } from '../../core/table/keys.ts'
import { HOUR_MS } from '../../core/time.ts'
import { startApp } from '../support/app.ts'
import { loseFactors } from '../support/credentials.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import { accountIdOf } from '../support/state.ts'

/**
 * Mails by who can cause them. Whatever a stranger can have sent is counted, mail by mail; everything else goes to no
 * address that nobody has proved.
 */
const app = await startApp()
beforeEach(app.startAfresh)

type Causes = typeof mailCauses
type Of<C extends Causes[MailTemplate]> = {
  [T in MailTemplate]: Causes[T] extends C ? T : never
}[MailTemplate]

/** A way to have one mail sent to the address, and what must count it. */
interface Way {
  counts: 'confirm-to' | 'reset-to' | MailRequestPurpose
  /** Everything before the mail; the result sends it. */
  prepare(email: string): Promise<() => Promise<unknown>>
}

const unproved = async (email = newPerson().email) => {
  const person = newPerson({ email })
  expect((await app.register(person)).status).toBe(201)
  return { person, accountId: await accountIdOf(app, person.username) }
}
const put = ({ username, accessToken: token }: SignedInPerson, email: string) =>
  app.request('PUT', `/rest/users/${username}`, { token, json: { email } })
const ask = (path: string, email: string) => async () => {
  expect((await app.request('POST', path, { json: { email } })).status).toBe(204)
  await app.job('send-mail')
}
const RESET = '/v1/user/resetPassword'
const RESEND = '/v1/auth/resend'
const RECOVERY = '/v1/auth/recovery/code'

const afterRecovery = (hours: number) => async (email: string) => {
  await loseFactors(app, await app.signUp({ email }), Date.now() - hours * HOUR_MS)
  return ask(RECOVERY, email)
}

/** Every way to each mail that a stranger can have sent. */
const WAYS: Record<Of<'mailbox' | 'request'>, Record<string, Way>> = {
  'confirm-email': {
    'a registration': {
      counts: 'confirm-to',
      prepare: async (email) => () => app.register(newPerson({ email })),
    },
    'a registration by address': {
      counts: 'confirm-to',
      prepare: async (email) => () =>
        app.request('POST', '/v1/auth/register', {
          json: { name: 'Ada', surname: 'Lovelace', email, password: 'Hello123!' },
        }),
    },
    'a registration again, with another address': {
      counts: 'confirm-to',
      prepare: async (email) => {
        const { person } = await unproved()
        return () => app.register({ ...person, email })
      },
    },
    'a request for another': {
      counts: 'confirm-to',
      prepare: async (email) => {
        await unproved(email)
        return ask(RESEND, email)
      },
    },
  },
  'change-email': {
    'a change of a proved address': {
      counts: 'confirm-to',
      prepare: async (email) => {
        const mover = await app.signUp()
        return () => put(mover, email)
      },
    },
    'a request for another': {
      counts: 'confirm-to',
      prepare: async (email) => {
        await put(await app.signUp(), email)
        return ask(RESEND, email)
      },
    },
  },
  'reset-password': {
    'a request for an address that nobody has proved': {
      counts: 'reset-to',
      prepare: async (email) => {
        await unproved(email)
        return ask(RESET, email)
      },
    },
    'a request for a proved address': {
      counts: 'reset-password',
      prepare: async (email) => {
        await app.signUp({ email })
        return ask(RESET, email)
      },
    },
  },
  'begin-recovery': {
    'a request': {
      counts: 'recovery',
      prepare: async (email) => {
        await loseFactors(app, await app.signUp({ email }))
        return ask(RECOVERY, email)
      },
    },
  },
  recovery: { 'a request while it waits': { counts: 'recovery', prepare: afterRecovery(1) } },
  'finish-recovery': { 'a request after 72 hours': { counts: 'recovery', prepare: afterRecovery(73) } },
}

/** How many mails to the address the table has counted. */
async function countedFor(email: string, counts: Way['counts']): Promise<number> {
  const { table, ...deps } = await app.ports()
  if (counts === 'reset-password' || counts === 'confirm-email' || counts === 'recovery') {
    const request = await table.get(keys.ask(counts, emailKey(email)))
    return ((request?.sentAtMs ?? []) as number[]).length
  }
  const limit: Limited = counts
  return Number((await table.get(limitKey(deps, limit, mailboxOf(email))))?.[limit] ?? 0)
}

const ways = Object.entries(WAYS).flatMap(([template, all]) =>
  Object.entries(all).map(([name, way]) => [template, name, way] as const),
)

test('every template says who can cause its mail', () => {
  expect(Object.keys(mailCauses).sort()).toEqual([...mailTemplates].sort())
})

test.each(ways)('%s, by %s: the mail is counted once', async (template, _, { counts, prepare }) => {
  const { email } = newPerson()
  const cause = await prepare(email)
  const [sent, counted] = [app.stack.mail.messages(email).length, await countedFor(email, counts)]
  await cause()
  await app.job('send-mail')
  expect(app.stack.mail.messages(email).length, template).toBe(sent + 1)
  expect(await countedFor(email, counts)).toBe(counted + 1)
  const { table } = await app.ports()
  const { accountId } = (await table.get(keys.emailGuard(emailKey(email)))) ?? {}
  if (!accountId) return
  const marks = await table.list(keys.account(String(accountId)), 'MAIL#')
  expect(marks.map((mark) => mark.template)).toContain(template)
})

describe('mails that nobody but its holder can cause', () => {
  const owners = mailTemplates.filter((template) => mailCauses[template] === 'owner')

  test.each(owners)('%s goes to no address that nobody has proved', async (template) => {
    const { accountId, person } = await unproved()
    const { email, username } = person
    const { table, ...ports } = await app.ports()
    const values = {
      username,
      event: 'new-sign-in',
      atMs: 0,
      bundle: 'STARTER',
      news: { state: 'off', reason: 'other', bundle: 'STARTER' },
    } as const
    const { write } = queueMail(ports, { accountId, to: email, template, values }, 0)
    await table.transact([write])
    const before = app.stack.mail.messages(email).length
    expect(await app.job('send-mail')).toMatchObject({ sent: 0, failed: 0, dropped: 1 })
    expect(app.stack.mail.messages(email)).toHaveLength(before)
  })
})
