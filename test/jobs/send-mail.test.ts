import { beforeEach, expect, test } from 'vitest'
import { sendDueMail } from '../../core/notifications/outbox.ts'
import { keys } from '../../core/table/keys.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'

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
  const { accountId } = await app.login(person)
  return { ...person, accountId }
}

const mailsTo = (email: string) => app.stack.mail.messages(email).length

async function outboxOf(accountId: string): Promise<unknown[]> {
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

test('the lease of a run that crashed while sending a mail expires after a minute', async () => {
  const { email } = await registeredWithoutMail()
  app.advance(MINUTE_MS)
  // The run took the lease on the mail and crashed before it could record that sending had failed.
  app.stack.mail.addFault({ fault: 'error-before', times: TRIES })
  const { table, ...ports } = await app.ports()
  let updates = 0
  const dying: typeof table = {
    ...table,
    update: async (...args) => {
      if (++updates > 1) throw new Error('crash')
      return table.update(...args)
    },
  }
  expect(await sendDueMail({ ...ports, table: dying }, WHOLE_RUN)).toEqual({ sent: 0, failed: 1 })
  expect(await sendMail()).toMatchObject({ sent: 0, failed: 0 })
  app.advance(MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 1, failed: 0 })
  expect(mailsTo(email)).toBe(1)
})

test('a crash between sending a mail and recording that causes one duplicate and no more', async () => {
  const person = newPerson()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'DeleteItem', times: TRIES })
  expect((await app.register(person)).status).toBe(201)
  app.advance(MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 1, failed: 0 })
  app.advance(MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 0, failed: 0 })
  expect(mailsTo(person.email)).toBe(2)
})

test('a mail that fails does not delay the others', async () => {
  const people = [await registeredWithoutMail(), await registeredWithoutMail(), await registeredWithoutMail()]
  app.advance(MINUTE_MS)
  app.stack.mail.addFault({ fault: 'error-before', times: TRIES })
  expect(await sendMail()).toMatchObject({ sent: 2, failed: 1 })
  app.advance(MINUTE_MS)
  expect(await sendMail()).toMatchObject({ sent: 1, failed: 0 })
  expect(people.map(({ email }) => mailsTo(email))).toEqual([1, 1, 1])
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
