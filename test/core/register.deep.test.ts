import { beforeEach, expect, test } from 'vitest'
import { registerAccount } from '../../core/account/register.ts'
import { sweepUnconfirmed, takeAddress } from '../../core/account/unconfirmed.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { everyBreak, WHOLE_RUN } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'
import { whoHas } from '../support/state.ts'

const app = await startApp()
beforeEach(app.startAfresh)
const ports = await app.ports()
const WEEK_MS = 7 * 24 * 3_600_000

const statuses = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length

/** Asserts that nothing is half-done: the names and the profile agree on one account, of which the vault knows nothing. */
async function expectOneAccount(person: Person): Promise<void> {
  const found = await whoHas(app, ports, person)
  expect(found).toMatchObject({ emailOwner: found.accountId, inVault: false })
  expect(found.account).toMatchObject({ id: found.accountId, status: 'active', username: person.username })
  // It is due after a week, unless its address is confirmed before.
  const { dueAtMs, createdAtMs } = (await ports.table.get(keys.profile(found.accountId ?? ''))) ?? {}
  expect(dueAtMs).toBe(Number(createdAtMs) + WEEK_MS)
}

async function expectNothing(person: Person): Promise<void> {
  const found = await whoHas(app, ports, person)
  expect(found).toEqual({ accountId: undefined, emailOwner: undefined, account: undefined, inVault: false })
}

test('a registration broken at any call succeeds on retry, and its mail is sent', async () => {
  const calls = await everyBreak(ports, async ({ broken, title }) => {
    const person = newPerson()
    const first = await registerAccount(broken, person).catch((error: Error) => error)
    if (first instanceof Error) await registerAccount(ports, person)
    await expectOneAccount(person)
    app.advance(61_000)
    await app.job('send-mail')
    expect(app.mailedCode(person.email), title).toHaveLength(32)
    expect(app.stack.mail.messages(person.email).length, `${title}: mails`).toBeLessThanOrEqual(2)
  })
  expect(calls).toBe(5)
})

test('a registration broken at any call without a retry leaves an account or nothing', async () => {
  await everyBreak(ports, async ({ broken }) => {
    const person = newPerson()
    await registerAccount(broken, person).catch(() => {})
    const found = await whoHas(app, ports, person)
    if (found.account) await expectOneAccount(person)
    else await expectNothing(person)
  })
})

test('a move to another address broken at any call succeeds on retry, and is made once', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const mistyped = newPerson()
    await registerAccount(ports, mistyped)
    const person = { ...mistyped, email: newPerson().email }
    const first = await registerAccount(broken, person).catch((error: Error) => error)
    if (first instanceof Error) await registerAccount(ports, person)
    await expectOneAccount(person)
    expect((await whoHas(app, ports, mistyped)).emailOwner, title).toBeUndefined()
  })
})

test('a sweep broken at any call is finished by the next sweep', async () => {
  const calls = await everyBreak(ports, async ({ broken }) => {
    const person = newPerson()
    await registerAccount(ports, person)
    app.advance(WEEK_MS)
    await sweepUnconfirmed(broken, WHOLE_RUN).catch(() => {})
    await app.job('sweep')
    await expectNothing(person)
  })
  expect(calls).toBe(16)
})

test('of 100 concurrent registrations for one username one is 201, 99 are 409 and leave nothing behind', async () => {
  const person = newPerson()
  const before = await accountsInTable()
  const all = Array.from({ length: 100 }, (_, n) =>
    app.register({ ...person, email: `n${n}.${person.email}`, password: `${person.password}${n}` }),
  )
  const answers = await Promise.all(all)
  expect([statuses(answers, 201), statuses(answers, 409)]).toEqual([1, 99])
  expect(await accountsInTable()).toBe(before + 1)
  for (const n of Array(100).keys()) {
    const guard = await ports.table.get(keys.emailGuard(`n${n}.${person.email}`))
    expect(guard !== undefined, `guard ${n}`).toBe(answers[n]?.status === 201)
  }
})

test('100 concurrent copies of a registration make one account and send one mail, and all are 201', async () => {
  const person = newPerson()
  const before = await accountsInTable()
  const answers = await Promise.all(Array.from({ length: 100 }, () => app.register(person)))
  expect(statuses(answers, 201)).toBe(100)
  await expectOneAccount(person)
  expect(app.stack.mail.messages(person.email)).toHaveLength(1)
  expect(await accountsInTable()).toBe(before + 1)
})

test('of 30 guesses at once of the password with which a name was registered five are looked at', async () => {
  const person = newPerson()
  await registerAccount(ports, person)
  let looks = 0
  const keyring: typeof ports.keyring = {
    ...ports.keyring,
    open(purpose, ...rest) {
      if (purpose === 'seal:registered-password') looks += 1
      return ports.keyring.open(purpose, ...rest)
    },
  }
  const guesses = Array.from({ length: 30 }, (_, nth) => ({
    ...person,
    email: newPerson().email,
    password: `Guess-${nth}!`,
  }))
  const answers = guesses.map((each) => registerAccount({ ...ports, keyring }, each))
  expect((await Promise.allSettled(answers)).filter(({ status }) => status === 'fulfilled')).toEqual([])
  expect(looks).toBe(5)
})

test('nobody takes an address from an account that is being erased, which would have it begin again: later they may', async () => {
  const person = newPerson()
  const { id } = await registerAccount(ports, person)
  await ports.table.update(keys.profile(id), expr`SET #status = ${'erased'}`)
  await expect(takeAddress(ports, 'f'.repeat(24), person.email)).rejects.toMatchObject({
    code: 'temporarily_unavailable',
  })
  expect(await ports.table.get(keys.profile(id))).toMatchObject({ status: 'erased' })
})

test('concurrent registrations of one e-mail address in different case and Unicode form make one account', async () => {
  const [one, two] = [
    newPerson({ email: 'Jose.Race@café.example' }),
    newPerson({ email: 'JOSE.race@CAFÉ.example'.normalize('NFD') }),
  ]
  const answers = await Promise.all([app.register(one), app.register(two)])
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
})

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
