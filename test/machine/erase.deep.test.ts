import { describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { deleteAccount } from '../../core/account/deletion.ts'
import { sweepErasures } from '../../core/account/erase.ts'
import { restoreAccount, signIn } from '../../core/credentials/sessions.ts'
import type { Ports } from '../../core/ports.ts'
import { DAY_MS, HOUR_MS } from '../../core/time.ts'
import { startApp } from '../support/app.ts'
import { newBuyer } from '../support/buyers.ts'
import { tracesLeft } from '../support/erasure.ts'
import { createKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { customerId, stripeOf } from '../support/stripe.ts'
import { breaking, everyBreak, WHOLE_RUN } from './faults.ts'

const app = await startApp()
const ports = await app.ports()
const { double } = stripeOf(app)

interface Subject extends SignedInPerson {
  customer: string
  keyName: string
}

/** A person with a bundle, a card, a customer at Stripe and a further key. */
async function subject(): Promise<Subject> {
  // Each erasure takes a month, and the test card expires some day.
  await app.startAfresh()
  const person = await newBuyer(app)
  const keyName = `key-of-${person.username}`
  await createKey(app, person, keyName)
  return { ...person, keyName, customer: (await customerId(app, person))! }
}

const accountOf = async ({ accountId }: SignedInPerson) => (await readAccount(ports, accountId))!

async function deleted(): Promise<Subject> {
  const person = await subject()
  await deleteAccount(ports, await accountOf(person), true)
  return person
}

const credentials = ({ email, password }: SignedInPerson) => ({ email, password })

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  )

/** Sends the mails, and says how many last ones the person got. */
async function lastMails({ email }: SignedInPerson): Promise<number> {
  await app.job('send-mail')
  return app.stack.mail.messages(email).filter(({ subject: text }) => text === 'Your account is deleted')
    .length
}

/** Asserts that nothing of the person is left anywhere. */
async function expectErased(person: Subject, title: string): Promise<void> {
  expect(await lastMails(person), `${title}: last mails`).toBe(1)
  await double.flushWebhooks()
  app.advance(HOUR_MS)
  await sweepErasures(ports, WHOLE_RUN)
  const { username, email, keyName, accountId, customer } = person
  const traces = {
    username: username.toLowerCase(),
    address: email.toLowerCase(),
    key: keyName.toLowerCase(),
  }
  expect(await tracesLeft(app, traces), title).toEqual([])
  expect(double.state.customers[customer], title).toMatchObject({ deleted: true })
  expect(app.stack.cognito.users(), title).not.toContain(accountId)
  expect(await accountOf(person), title).toMatchObject({ status: 'erased', email: '', customer: undefined })
}

/** Asserts that the account is active with everything that it had. */
async function expectKept(person: Subject, title: string): Promise<void> {
  const account = await accountOf(person)
  expect(account, title).toMatchObject({ status: 'active', email: person.email, customerId: person.customer })
  expect(account.eraseAtMs, title).toBeUndefined()
  expect(double.state.customers[person.customer], title).not.toHaveProperty('deleted')
  expect(app.stack.cognito.users(), title).toContain(person.accountId)
  app.advance(DAY_MS)
  await sweepErasures(ports, WHOLE_RUN)
  expect(await succeeds(signIn(ports, credentials(person))), `${title}: a later sign-in`).toBe(true)
}

/** The same ports, which do `work` before their call number `at`. */
function interrupted(whole: Ports, at: number, work: () => Promise<void>): { ports: Ports; calls: string[] } {
  const { ports: counting, calls } = breaking(whole)
  const watched = (port: object) =>
    new Proxy(port, {
      get: (object, method, receiver) => {
        const call = Reflect.get(object, method, receiver)
        if (typeof call !== 'function') return call
        return async (...args: unknown[]) => {
          if (calls.length + 1 === at) await work()
          return call.apply(object, args)
        }
      },
    })
  const { table, identity, payments } = counting
  const outside = { table: watched(table), identity: watched(identity), payments: watched(payments) }
  return { ports: { ...counting, ...(outside as Pick<Ports, 'table' | 'identity' | 'payments'>) }, calls }
}

describe('an erasure broken at any call', () => {
  test('is finished by later runs: nothing is left, the last mail is one, and no log line names the person', async () => {
    const calls = await everyBreak(ports, async ({ broken, title }) => {
      const person = await deleted()
      app.logs.length = 0
      app.advance(30 * DAY_MS)
      await sweepErasures(broken, WHOLE_RUN).catch(() => {})
      app.advance(HOUR_MS)
      await sweepErasures(ports, WHOLE_RUN)
      await expectErased(person, title)
      expect(app.logs.join('\n').toLowerCase(), title).not.toMatch(
        new RegExp(`${person.username}|${person.email}`.toLowerCase()),
      )
    })
    expect(calls).toBeGreaterThan(15)
  })

  test('is never undone once it has begun: signing in fails in between, and later too', async () => {
    await everyBreak(ports, async ({ broken, title }) => {
      const person = await deleted()
      app.advance(30 * DAY_MS)
      await sweepErasures(broken, WHOLE_RUN).catch(() => {})
      const isBack = await succeeds(signIn(ports, credentials(person)))
      app.advance(HOUR_MS)
      await sweepErasures(ports, WHOLE_RUN)
      await (isBack ? expectKept(person, title) : expectErased(person, title))
    })
  })
})

describe('a deletion broken at any call', () => {
  test('is begun or not, and a retry is answered with one time', async () => {
    await everyBreak(ports, async ({ broken, title }) => {
      const person = await subject()
      const before = await accountOf(person)
      await deleteAccount(broken, before, true).catch(() => {})
      const { status, eraseAtMs } = await accountOf(person)
      expect([title, status]).toEqual([title, eraseAtMs === undefined ? 'active' : 'deactivated'])
      const answered = await deleteAccount(ports, before, true)
      expect((await accountOf(person)).eraseAtMs, title).toBe(answered)
      if (eraseAtMs !== undefined) expect(answered, title).toBe(eraseAtMs)
    })
  })
})

describe.each([
  ['a sign-in', (deps: Ports, person: Subject): Promise<unknown> => signIn(deps, credentials(person))],
  [
    'a restore',
    (deps: Ports, person: Subject): Promise<unknown> => restoreAccount(deps, credentials(person)),
  ],
])('%s that undoes a deletion', (_, undo) => {
  test('broken at any call leaves the account deleted or active, and works when it is sent again', async () => {
    await everyBreak(ports, async ({ broken, title }) => {
      const person = await deleted()
      app.advance(29 * DAY_MS)
      await undo(broken, person).catch(() => {})
      const { status, eraseAtMs } = await accountOf(person)
      expect([title, status]).toEqual([title, eraseAtMs === undefined ? 'active' : 'deactivated'])
      await undo(ports, person)
      app.advance(2 * DAY_MS)
      await sweepErasures(ports, WHOLE_RUN)
      await expectKept(person, title)
    })
  })

  test('at any moment of the erasure either keeps all of the account or finds nothing', async () => {
    let kept = 0
    let erased = 0
    for (let at = 1; ; at++) {
      const person = await deleted()
      app.advance(30 * DAY_MS)
      let isBack = false
      const sweep = interrupted(ports, at, async () => {
        isBack = await succeeds(undo(ports, person))
      })
      await sweepErasures(sweep.ports, WHOLE_RUN)
      if (sweep.calls.length < at) break
      app.advance(HOUR_MS)
      await sweepErasures(ports, WHOLE_RUN)
      const title = `before ${sweep.calls[at - 1]}, call ${at} of the sweep`
      if (isBack) kept++
      else erased++
      await (isBack ? expectKept(person, title) : expectErased(person, title))
    }
    expect(kept).toBeGreaterThan(0)
    expect(erased).toBeGreaterThan(0)
  })

  test('overtaken by the erasure at any of its own calls either keeps all of the account or finds nothing', async () => {
    for (let at = 1; ; at++) {
      const person = await deleted()
      app.advance(30 * DAY_MS)
      const late = interrupted(ports, at, async () => void (await sweepErasures(ports, WHOLE_RUN)))
      const isBack = await succeeds(undo(late.ports, person))
      if (late.calls.length < at) break
      app.advance(HOUR_MS)
      await sweepErasures(ports, WHOLE_RUN)
      const title = `before ${late.calls[at - 1]}, call ${at}`
      await (isBack ? expectKept(person, title) : expectErased(person, title))
    }
  })
})

test('a customer whose id was lost when a process died is found by its address and deleted too', async () => {
  const person = await deleted()
  const lost = await ports.payments.createCustomer(person.accountId, 'cus_lost')
  await ports.payments.updateCustomer(lost.id, { email: person.email, name: 'Lost Person' })
  app.advance(30 * DAY_MS)
  await sweepErasures(ports, WHOLE_RUN)
  expect(double.state.customers[lost.id]).toMatchObject({ deleted: true })
  await expectErased(person, 'lost')
})

test('a customer that Stripe does not know holds the erasure up for a week, as the key may be another account’s', async () => {
  const person = await deleted()
  delete double.state.customers[person.customer]
  app.advance(30 * DAY_MS)
  expect(await sweepErasures(ports, WHOLE_RUN)).toEqual({ done: 0, failed: 1 })
  expect(await accountOf(person)).toMatchObject({ status: 'erased', email: person.email })
  app.advance(7 * DAY_MS)
  expect(await sweepErasures(ports, WHOLE_RUN)).toEqual({ done: 1, failed: 0 })
  expect(await accountOf(person)).toMatchObject({ email: '' })
})
