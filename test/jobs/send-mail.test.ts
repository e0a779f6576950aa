import { beforeEach, describe, expect, test } from 'vitest'
import { type MailToQueue, queueMail, sendDueMail } from '../../core/notifications/outbox.ts'
import { type Expression, expr } from '../../core/table/expression.ts'
import { type Key, keys } from '../../core/table/keys.ts'
import type { Item, Table } from '../../core/table/table.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'
import { accountIdOf } from '../support/state.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** How many requests the SDK makes before it gives up. */
const TRIES = 2

const sendMail = () => app.job('send-mail')

/** Registers a person while the provider is down. */
async function registeredWithoutMail() {
  const person = newPerson()
  app.stack.mail.addFault({ fault: 'error-before', times: TRIES })
  expect((await app.register(person)).status).toBe(201)
  expect(app.stack.mail.messages(person.email)).toEqual([])
  // A busy machine may give up before the last try.
  app.stack.mail.clearFaults()
  return { ...person, accountId: await accountIdOf(app, person.username) }
}

const mailsTo = (email: string) => app.stack.mail.messages(email).length

/** The mails that are not known to be sent. */
async function outboxOf(accountId: string): Promise<unknown[]> {
  return (await mailItems(accountId)).filter(({ outcome }) => outcome === undefined)
}

async function mailItems(accountId: string): Promise<Item[]> {
  return (await app.ports()).table.list(keys.account(accountId), 'MAIL#')
}

test('a mail that fails at registration is sent a minute later, and its code works', async () => {
  const { accountId, email } = await registeredWithoutMail()
  app.advance(MINUTE_MS - 1)
  expect(await sendMail()).toMatchObject({ sent: 0, failed: 0 })
  app.advance(1)
  expect(await sendMail()).toMatchObject({ sent: 1, failed: 0 })
  const { status } = await app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(email) } })
  expect(status).toBe(200)
  expect(await outboxOf(accountId)).toEqual([])
  app.advance(DAY_MS / 2)
  expect(await sendMail()).toMatchObject({ sent: 0, failed: 0 })
})

test('a mail that the request itself sent is not sent again', async () => {
  const person = newPerson()
  await app.register(person)
  app.advance(MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 0, failed: 0 })
  expect(mailsTo(person.email)).toBe(1)
})

test('concurrent runs send a mail once', async () => {
  const { email } = await registeredWithoutMail()
  app.advance(MINUTE_MS)
  const runs = await Promise.all([sendMail(), sendMail(), sendMail()])
  expect(runs.map(({ sent }) => sent).sort()).toEqual([0, 0, 1])
  expect(mailsTo(email)).toBe(1)
})

/** Runs the job with a provider that is no other process, so that nothing depends on how busy the machine is. */
async function runs() {
  const ports = await app.ports()
  const sent: string[] = []
  const run = (fails: (to: string) => boolean, table: Table = ports.table) => {
    const send = async ({ to }: { to: string }) => {
      if (fails(to)) throw new Error('refused')
      sent.push(to)
    }
    return sendDueMail({ ...ports, table, mail: { ...ports.mail, send } }, WHOLE_RUN)
  }
  return { table: ports.table, sent, run }
}

/** Stores a mail to a new person that is due now. @returns the address */
async function waitingMail(): Promise<string> {
  const { accountId, email, username } = await app.signUp()
  const ports = await app.ports()
  const values = { username, event: 'password-changed', atMs: 0 } as const
  const { write } = queueMail(ports, { accountId, to: email, template: 'security', values }, 0)
  await ports.table.transact([write])
  return email
}

test('the lease of a run that crashed while sending a mail expires after a minute', async () => {
  const email = await waitingMail()
  const { table, sent, run } = await runs()
  // The run took the lease on the mail and crashed before it could record that sending had failed.
  let updates = 0
  const dying: Table = {
    ...table,
    update: async (...args) => {
      if (++updates > 1) throw new Error('crash')
      return table.update(...args)
    },
  }
  expect(await run(() => true, dying)).toMatchObject({ sent: 0, failed: 1 })
  app.advance(MINUTE_MS - 1)
  expect(await run(() => false)).toMatchObject({ sent: 0, failed: 0 })
  app.advance(1)
  expect(await run(() => false)).toMatchObject({ sent: 1, failed: 0 })
  expect(sent).toEqual([email])
})

test('a crash between sending a mail and recording that causes one duplicate and no more', async () => {
  const person = newPerson()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'PutItem', times: TRIES })
  expect((await app.register(person)).status).toBe(201)
  app.advance(MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 1, failed: 0 })
  app.advance(MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 0, failed: 0 })
  expect(mailsTo(person.email)).toBe(2)
})

test('a mail that fails does not delay the others', async () => {
  const [first, ...others] = [await waitingMail(), await waitingMail(), await waitingMail()]
  const { sent, run } = await runs()
  expect(await run((to) => to === first)).toMatchObject({ sent: 2, failed: 1 })
  expect(sent.sort()).toEqual(others.sort())
  app.advance(MINUTE_MS)
  expect(await run(() => false)).toMatchObject({ sent: 1, failed: 0 })
  expect(sent.at(-1)).toBe(first)
})

test('a mail that keeps failing is tried after 1, 1, 2, 4, 8, 16, 32, 60 and again 60 minutes', async () => {
  const { email } = await registeredWithoutMail()
  app.stack.mail.addFault({ fault: 'error-before' })
  for (const minutes of [1, 1, 2, 4, 8, 16, 32, 60, 60]) {
    // The mail is not due yet, so this run must not try to send it.
    app.advance(minutes * MINUTE_MS - 1)
    expect(await sendMail(), `within ${minutes} minutes`).toMatchObject({ sent: 0, failed: 0 })
    app.advance(1)
    expect(await sendMail(), `after ${minutes} minutes`).toMatchObject({ sent: 0, failed: 1 })
  }
  app.stack.mail.clearFaults()
  app.advance(60 * MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 1, failed: 0 })
  expect(mailsTo(email)).toBe(1)
})

test('a mail whose code has expired is abandoned, whether or not the table has deleted it', async () => {
  const { email } = await registeredWithoutMail()
  app.advance(DAY_MS)
  expect(await sendMail()).toMatchObject({ sent: 0, failed: 0 })
  expect(mailsTo(email)).toBe(0)
})

test('nothing of the mail is in the log', async () => {
  const { email, username } = await registeredWithoutMail()
  app.logs.length = 0
  app.advance(MINUTE_MS)
  await sendMail()
  expect(app.logs.map((line) => JSON.parse(line))).toMatchObject([{ level: 'info', sent: 1, failed: 0 }])
  for (const secret of [email, username, app.mailedCode(email)]) expect(app.logs.join()).not.toContain(secret)
})

test('a run with nothing due only reads', async () => {
  app.advance(DAY_MS)
  await sendMail()
  app.resetCalls()
  expect(await sendMail()).toMatchObject({ sent: 0, failed: 0 })
  const { dynamodb, writeUnits, mail } = app.calls()
  expect({ operations: Object.keys(dynamodb), writeUnits, mail }).toEqual({
    operations: ['Query'],
    writeUnits: 0,
    mail: {},
  })
})

describe('a mail that is no longer true when its turn comes', () => {
  const HOLD_BACK = { fault: 'error-before', times: TRIES } as const
  const subjectsTo = (email: string) => app.stack.mail.messages(email).map(({ subject }) => subject)

  test('a confirmation whose code was superseded, by another address, is dropped, and the newer one is sent', async () => {
    const { email, username, password } = await registeredWithoutMail()
    const json = { email: `new-${email}`, username, password }
    app.stack.mail.addFault(HOLD_BACK)
    expect((await app.register(json)).status).toBe(201)
    app.stack.mail.clearFaults()
    app.advance(MINUTE_MS)
    expect(await sendMail()).toMatchObject({ sent: 1, failed: 0, dropped: 1 })
    expect([mailsTo(email), mailsTo(json.email)]).toEqual([0, 1])
    const code = app.mailedCode(json.email)
    expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(200)
  })

  test('a reset whose code has expired while a newer one was asked for leaves one mail, whose code works', async () => {
    const { email } = await app.signUp()
    const ask = () => app.request('POST', '/v1/user/resetPassword', { json: { email } })
    app.stack.mail.addFault({ fault: 'error-before' })
    await ask()
    await sendMail()
    app.advance(10 * MINUTE_MS)
    await ask()
    await sendMail()
    app.stack.mail.clearFaults()
    app.advance(MINUTE_MS)
    await sendMail()
    expect(subjectsTo(email).filter((subject) => subject === 'Reset your password')).toHaveLength(1)
    const json = { code: app.mailedCode(email), password: 'Changed1!' }
    expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(204)
  })

  test('a reset whose ten minutes are over is dropped', async () => {
    const { email } = await app.signUp()
    app.stack.mail.addFault({ fault: 'error-before' })
    await app.request('POST', '/v1/user/resetPassword', { json: { email } })
    await sendMail()
    app.advance(10 * MINUTE_MS)
    app.stack.mail.clearFaults()
    const before = mailsTo(email)
    expect(await sendMail()).toMatchObject({ sent: 0, failed: 0, dropped: 1 })
    expect(mailsTo(email)).toBe(before)
  })

  test('a mail whose code was used, which had arrived before a crash could record it, is not sent twice', async () => {
    const { email } = await app.signUp()
    await app.request('POST', '/v1/user/resetPassword', { json: { email } })
    app.stack.dynamo.addFault({ fault: 'error-before', match: 'PutItem', times: TRIES })
    await sendMail()
    const json = { code: app.mailedCode(email), password: 'Changed1!' }
    expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(204)
    app.advance(MINUTE_MS)
    // What is sent are the mails about the reset and about the keys that it has replaced.
    expect(await sendMail()).toMatchObject({ sent: 2, dropped: 1 })
    expect(subjectsTo(email).filter((subject) => subject === 'Reset your password')).toHaveLength(1)
  })

  test.each([
    ['to an account that is gone', (key: Key) => [{ remove: key }]],
    [
      'with a code that a new password has voided',
      (key: Key) => [{ update: key, set: expr`REMOVE #confirmCode` }],
    ],
  ])('a mail %s is dropped', async (_, writes) => {
    const { email, accountId } = await registeredWithoutMail()
    await (await app.ports()).table.transact(writes(keys.profile(accountId)))
    app.advance(MINUTE_MS)
    expect(await sendMail()).toMatchObject({ sent: 0, failed: 0, dropped: 1 })
    expect(mailsTo(email)).toBe(0)
  })

  test('a change of address that was canceled is announced to nobody', async () => {
    const person = await app.signUp()
    const token = person.accessToken
    const path = `/rest/users/${person.username}`
    app.stack.mail.addFault({ fault: 'error-before', times: 2 * TRIES })
    const wanted = `new-${person.email}`
    await app.request('PUT', path, { token, json: { email: wanted } })
    expect((await app.request('PUT', path, { token, json: { email: person.email } })).status).toBe(200)
    app.advance(MINUTE_MS)
    expect(await sendMail()).toMatchObject({ sent: 0, failed: 0, dropped: 2 })
    expect([...subjectsTo(wanted), ...subjectsTo(person.email)]).not.toContainEqual(
      expect.stringMatching(/new e-mail address|about to change/),
    )
  })

  /** Queues a mail of a kind for a person whose profile is changed meanwhile. */
  async function queued(template: MailToQueue['template'], values: object, profile: object = {}) {
    const { accountId, email, username } = await app.signUp()
    const { table, ...ports } = await app.ports()
    const about = { values: { username, bundle: 'STARTER', ...values }, ...profile }
    const { write } = queueMail(ports, { accountId, to: email, template, ...about }, 0)
    const change = (set: Expression) => table.update(keys.profile(accountId), set)
    await table.transact([write])
    return { email, change }
  }
  const news = (state: 'paused' | 'held_back') => ({ state, reason: 'other', bundle: 'STARTER' })
  const renewal = (state: string, more: object = {}) => ({ state, reason: 'other', failures: 0, ...more })
  const holding = (state: string, more?: object) =>
    expr`SET #bundle = ${'STARTER'}, #renewal = ${renewal(state, more)}`

  test('a change of auto-renewal is told while it lasts', async () => {
    const lasting = await queued('renewal-state', { news: news('paused') })
    await lasting.change(holding('paused'))
    const over = await queued('renewal-state', { news: news('paused') })
    await over.change(expr`SET #bundle = ${'STARTER'}`)
    const declined = await queued('renewal-declined', { news: news('paused'), amountCents: 99 })
    await declined.change(expr`SET #bundle = ${'STARTER'}`)
    const switched = await queued('renewal-state', { news: { ...news('paused'), state: 'off' } })
    const older = await queued('renewal-state', { news: news('held_back') }, { heldAtMs: 1 })
    await older.change(holding('held_back', { heldAtMs: 2 }))
    expect(await sendMail()).toMatchObject({ sent: 2, failed: 0, dropped: 3 })
    expect(subjectsTo(switched.email)).toHaveLength(2)
    expect(subjectsTo(lasting.email)).toContainEqual('We could not renew your STARTER bundle')
  })

  test('the link to a payment is mailed while the payment waits for its customer', async () => {
    const open = await queued('renewal-action', { amountCents: 99, purchaseId: 'a1' })
    await open.change(expr`SET #openPurchase = ${'a1'}`)
    await queued('renewal-action', { amountCents: 99, purchaseId: 'a1' })
    expect(await sendMail()).toMatchObject({ sent: 1, failed: 0, dropped: 1 })
  })

  test('a change of who gets in stays true, and is told to the address that it was for', async () => {
    const { email, change } = await queued('security', { event: 'password-changed', atMs: 0 })
    await change(expr`SET #email = ${`new-${email}`}`)
    expect(await sendMail()).toMatchObject({ sent: 1, failed: 0, dropped: 0 })
    expect([subjectsTo(email).at(-1), mailsTo(`new-${email}`)]).toEqual(['Your password was changed', 0])
  })

  test('news follows its owner to a new address, and never goes to the old one', async () => {
    const { email, change } = await queued('renewed', { amountCents: 99 })
    await change(expr`SET #email = ${`new-${email}`}`)
    const before = mailsTo(email)
    expect(await sendMail()).toMatchObject({ sent: 1, failed: 0, dropped: 0 })
    expect([mailsTo(email) - before, mailsTo(`new-${email}`)]).toEqual([0, 1])
  })

  test('a low balance that was refilled meanwhile is not called low, and nobody hears of it who does not want to', async () => {
    const { email } = await queued('low-quota', {})
    const unwanted = await queued('low-quota', {})
    await unwanted.change(expr`SET #flags.#lowQuotaNotification = ${false}`)
    expect(await sendMail()).toMatchObject({ sent: 1, failed: 0, dropped: 1 })
    expect(subjectsTo(email).at(-1)).toBe('Less than 10 % of your STARTER bundle was left')
  })
})

test('a mail that has waited for 15 minutes is counted as overdue, sent or not', async () => {
  await registeredWithoutMail()
  app.stack.mail.addFault({ fault: 'error-before' })
  app.advance(15 * MINUTE_MS - 1)
  expect(await sendMail()).toMatchObject({ failed: 1, overdue: 0 })
  app.advance(MINUTE_MS)
  expect(await sendMail()).toMatchObject({ failed: 1, overdue: 1 })
  app.stack.mail.clearFaults()
  app.advance(2 * MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 1, overdue: 1 })
})
