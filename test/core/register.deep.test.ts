import { beforeEach, expect, test } from 'vitest'
import { registerAccount, sweepPending } from '../../core/account/register.ts'
import { DomainError } from '../../core/errors.ts'
import { keys } from '../../core/table/keys.ts'
import { everyBreak, WHOLE_RUN } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'
import { whoHas } from '../support/state.ts'

const app = await startApp()
beforeEach(app.startAfresh)
const ports = await app.ports()
const HOUR_MS = 3_600_000

const refusal = (code: string) => expect.objectContaining({ code })
const statuses = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length

/** Asserts that nothing is half-done: the names, the profile and the vault agree on one active account. */
async function expectOneAccount(person: Person): Promise<void> {
  const found = await whoHas(app, ports, person)
  expect(found).toMatchObject({ emailOwner: found.accountId, inVault: true })
  expect(found.account).toMatchObject({ id: found.accountId, status: 'active', username: person.username })
  // It is due after a week, unless its address is confirmed before.
  const { dueAtMs, createdAtMs } = (await ports.table.get(keys.profile(found.accountId ?? ''))) ?? {}
  expect(dueAtMs).toBe(Number(createdAtMs) + 7 * 24 * HOUR_MS)
}

async function expectNothing(person: Person): Promise<void> {
  const found = await whoHas(app, ports, person)
  expect(found).toEqual({ accountId: undefined, emailOwner: undefined, account: undefined, inVault: false })
}

test('a registration broken at any call succeeds on retry, and its mail is sent', async () => {
  const calls = await everyBreak(ports, async ({ broken, title }) => {
    const person = newPerson()
    const first = await registerAccount(broken, person).catch((error: Error) => error)
    if (first instanceof Error) {
      const again = await registerAccount(ports, person).catch((error: Error) => error)
      // The first attempt completed, but its answer was lost. So the retry finds its own names taken.
      if (again instanceof Error) expect(again, title).toEqual(refusal('username_taken'))
    }
    await expectOneAccount(person)
    await expect(
      ports.identity.signIn((await whoHas(app, ports, person)).accountId ?? '', person.password),
      title,
    ).resolves.toBeDefined()
    app.advance(61_000)
    await app.job('send-mail')
    expect(app.mailedCode(person.email), title).toHaveLength(32)
    expect(app.stack.mail.messages(person.email).length, `${title}: mails`).toBeLessThanOrEqual(2)
  })
  expect(calls).toBe(7)
})

test('a registration broken at any call without a retry leaves an account or, after the sweep, nothing', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const person = newPerson()
    await registerAccount(broken, person).catch(() => {})
    app.advance(HOUR_MS)
    await app.job('sweep')
    const found = await whoHas(app, ports, person)
    if (found.account) await expectOneAccount(person)
    else await expectNothing(person)
    expect(app.stack.cognito.users().length, title).toBe(await accountsInTable())
  })
})

test('a sweep broken at any call is finished by the next sweep', async () => {
  const calls = await everyBreak(ports, async ({ broken }) => {
    const person = newPerson()
    await leavePending(person)
    app.advance(HOUR_MS)
    await sweepPending(broken, WHOLE_RUN).catch(() => {})
    await app.job('sweep')
    await expectNothing(person)
  })
  expect(calls).toBe(6)
})

test('a pending registration is resumed by the same request only', async () => {
  const person = newPerson()
  await leavePending(person)
  const others = [{ password: 'Another1!' }, { email: newPerson().email }, { username: newPerson().username }]
  for (const other of others) {
    await expect(registerAccount(ports, { ...person, ...other })).rejects.toBeInstanceOf(DomainError)
  }
  await registerAccount(ports, person)
  await expectOneAccount(person)
})

test('a pending registration is not resumed shortly before the sweep', async () => {
  const person = newPerson()
  await leavePending(person)
  app.advance(51 * 60_000)
  await expect(registerAccount(ports, person)).rejects.toEqual(refusal('username_taken'))
})

test('a password that the vault refuses leaves no trace, so that the next one may follow immediately', async () => {
  const person = newPerson()
  const refusing = {
    ...ports,
    identity: {
      ...ports.identity,
      enroll: async () => {
        throw new DomainError('password_refused')
      },
    },
  }
  await expect(registerAccount(refusing, person)).rejects.toEqual(refusal('password_refused'))
  await expectNothing(person)
})

test('of 100 concurrent registrations for one username one is 201, 99 are 409 and leave nothing behind', async () => {
  const person = newPerson()
  const before = app.stack.cognito.users().length
  const all = Array.from({ length: 100 }, (_, n) =>
    app.register({ ...person, email: `n${n}.${person.email}` }),
  )
  const answers = await Promise.all(all)
  expect([statuses(answers, 201), statuses(answers, 409)]).toEqual([1, 99])
  app.advance(HOUR_MS)
  await app.job('sweep')
  expect(app.stack.cognito.users().length).toBe(before + 1)
  expect(app.stack.cognito.users().length).toBe(await accountsInTable())
  for (const n of Array(100).keys()) {
    const guard = await ports.table.get(keys.emailGuard(`n${n}.${person.email}`))
    expect(guard !== undefined, `guard ${n}`).toBe(answers[n]?.status === 201)
  }
})

test('100 concurrent copies of a registration make one account and send one mail, and all are 201', async () => {
  const person = newPerson()
  const answers = await Promise.all(Array.from({ length: 100 }, () => app.register(person)))
  expect(statuses(answers, 201)).toBe(100)
  await expectOneAccount(person)
  expect(app.stack.mail.messages(person.email)).toHaveLength(1)
  expect(app.stack.cognito.users().length).toBe(await accountsInTable())
})

test('concurrent registrations of one e-mail address in different case and Unicode form make one account', async () => {
  const [one, two] = [
    newPerson({ email: 'José.Race@mail.example' }),
    newPerson({ email: 'JOSÉ.race@mail.example'.normalize('NFD') }),
  ]
  const answers = await Promise.all([app.register(one), app.register(two)])
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
})

/** Crashes a registration after its names are taken. */
async function leavePending(person: Person): Promise<void> {
  const crashing = {
    ...ports,
    identity: {
      ...ports.identity,
      enroll: async () => {
        throw new Error('the process is gone')
      },
    },
  }
  await expect(registerAccount(crashing, person)).rejects.toThrow('gone')
}

/** Counts the profiles with a scan, which only tests may do. */
async function accountsInTable(): Promise<number> {
  const { DynamoDBClient, ScanCommand } = await import('@aws-sdk/client-dynamodb')
  const client = new DynamoDBClient({ endpoint: app.stack.dynamo.rawUrl })
  const { Count = 0 } = await client.send(
    new ScanCommand({
      TableName: app.stack.tableName,
      FilterExpression: 'sk = :profile',
      ExpressionAttributeValues: { ':profile': { S: '#PROFILE' } },
    }),
  )
  return Count
}
