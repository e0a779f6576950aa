import { describe, expect, test } from 'vitest'
import { emailKey } from '../../core/account/fields.ts'
import { codeText } from '../../core/credentials/codes.ts'
import {
  answerMailRequests,
  type MailRequestPurpose,
  requestMail,
} from '../../core/credentials/mail-requests.ts'
import { sendWaitingMail } from '../../core/credentials/send-waiting-mail.ts'
import { queueMail } from '../../core/notifications/outbox.ts'
import { dueAt, keys, recoveryKey } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { EMAIL, openAccountWorld } from '../machine/account-world.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { interleaved } from '../machine/quota-world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const NEW = 'new@example.com'

async function open(change: Item = {}) {
  const world = await openAccountWorld(change)
  const { id, ports, mails, profile, memory } = world
  const ask = (purpose: MailRequestPurpose = 'reset-password', email = EMAIL) =>
    requestMail(ports, purpose, email)
  const answer = (through = ports) => answerMailRequests(through, WHOLE_RUN)
  const code = async (attribute: string) => String((await profile())[attribute] ?? '')
  return {
    ...world,
    ...{ ask, answer, code },
    /** Asks and answers. @returns the mails that were sent for it, as their address and their code. */
    async mailed(purpose: MailRequestPurpose = 'reset-password', email = EMAIL) {
      const before = mails.length
      await ask(purpose, email)
      await answer()
      return mails.slice(before).map(({ to, text }) => [to, /\b[0-9a-f]{32}\b/.exec(text)?.[0]])
    },
    request: (purpose: MailRequestPurpose = 'reset-password', email = EMAIL) =>
      memory.get(keys.ask(purpose, emailKey(email))),
    /** The code that a mail of this purpose would have now. */
    async expected(
      purpose: 'reset-password' | 'confirm-email' | 'change-email' | 'begin-recovery' | 'finish-recovery',
    ) {
      const attributes = {
        ...{ 'reset-password': 'resetCode', 'confirm-email': 'confirmCode', 'change-email': 'changeCode' },
        ...{ 'begin-recovery': 'recoveryCode', 'finish-recovery': 'recoveryCode' },
      }
      return codeText(ports, purpose, id, await code(attributes[purpose]))
    },
  }
}

describe('a request for a mail', () => {
  test('is stored in one write, without the network, and waits', async () => {
    const { ask, request, memory, nowMs } = await open()
    await ask()
    expect(await request()).toMatchObject({
      ...{ purpose: 'reset-password', email: EMAIL, askedAtMs: nowMs(), dueAtMs: nowMs() },
      ...{ ttl: (nowMs() + DAY_MS) / 1000, lanes: new Set([expect.any(Number)]) },
    })
    expect(JSON.stringify(memory.items())).not.toContain('192.0.2.1')
  })

  test('that waits already keeps its place, and gets the lane of each network', async () => {
    const { ports, request, ask, advance, nowMs } = await open()
    await ask()
    const dueAtMs = nowMs()
    advance(1000)
    await requestMail({ ...ports, origin: { by: 'anyone', ip: '198.51.100.7' } }, 'reset-password', EMAIL)
    await requestMail({ ...ports, origin: { by: 'operator' } } as never, 'reset-password', EMAIL)
    const { lanes, ...waiting } = (await request()) ?? {}
    expect(waiting).toMatchObject({ dueAtMs, askedAtMs: nowMs() })
    expect((lanes as Set<number>).size).toBe(3)
    expect([...(lanes as Set<number>)].filter((lane) => lane === 1024)).toHaveLength(1)
    expect(Math.max(...(lanes as Set<number>))).toBe(1024)
    expect(Math.min(...(lanes as Set<number>))).toBeGreaterThanOrEqual(0)
  })

  test('for an address that is spelled in another way is one of its owner', async () => {
    const { mailed, expected } = await open()
    expect(await mailed('reset-password', 'ADA@Example.COM')).toEqual([
      [EMAIL, await expected('reset-password')],
    ])
  })

  test('is gone once it is answered, but for the time of its mail', async () => {
    const { mailed, request, nowMs } = await open()
    await mailed()
    expect(await request()).toMatchObject({ sentAtMs: [nowMs()] })
    for (const name of ['due', 'dueAtMs', 'lanes']) expect(await request()).not.toHaveProperty(name)
  })

  test('that leads to nobody is gone, and one that comes meanwhile is not', async () => {
    const { ask, answer, request, ports } = await open()
    await ask('reset-password', 'nobody@example.com')
    expect(await answer()).toMatchObject({ done: 0, failed: 0, left: 0, found: 1 })
    expect(await request('reset-password', 'nobody@example.com')).toBeUndefined()
    await ask('reset-password', 'nobody@example.com')
    const during = interleaved(ports, 'remove', 1, async () => {
      await ports.table.put({
        ...(await request('reset-password', 'nobody@example.com')),
        askedAtMs: 1,
      } as never)
    })
    await answer(during)
    expect(await request('reset-password', 'nobody@example.com')).toBeDefined()
  })

  test('that led nowhere although the account is there waits no more', async () => {
    const { mailed, request } = await open({ status: 'suspended' })
    expect(await mailed()).toEqual([])
    expect(await request()).not.toHaveProperty('dueAtMs')
  })

  test('that cannot be read fails alone', async () => {
    const { ask, answer, request, ports, mails } = await open()
    await ask()
    await ask('recovery')
    await ports.table.put({ ...(await request('recovery')), email: 7 } as never)
    expect(await answer()).toMatchObject({ done: 1, failed: 1 })
    expect(mails).toHaveLength(1)
  })

  test('of nobody that cannot be removed fails, and is looked at again', async () => {
    const { ask, answer, request, ports } = await open()
    await ask('reset-password', 'nobody@example.com')
    const table = { ...ports.table, remove: () => Promise.reject(new Error('an outage')) }
    expect(await answer({ ...ports, table })).toMatchObject({ done: 0, failed: 1, left: 0, found: 1 })
    expect(await request('reset-password', 'nobody@example.com')).toBeDefined()
    expect(await answer()).toMatchObject({ failed: 0, found: 1 })
  })

  test('says how long it has waited', async () => {
    const { ask, answer, advance } = await open()
    expect(await answer()).toEqual({ done: 0, failed: 0, left: 0, found: 0, waitedMs: 0 })
    await ask()
    advance(90_000)
    await ask('recovery')
    expect(await answer()).toMatchObject({ found: 2, waitedMs: 90_000 })
  })

  test('is one of 20 that a round answers', async () => {
    const { ports, answer, memory } = await open()
    for (let n = 0; n < 23; n++) {
      await memory.put({ ...keys.emailGuard(`a${n}@example.com`), accountId: '0'.repeat(24) })
      await requestMail(ports, 'reset-password', `a${n}@example.com`)
    }
    expect(await answer()).toMatchObject({ found: 23, left: 3 })
    expect(await answer()).toMatchObject({ found: 3, left: 0 })
  })
})

describe('who gets a code', () => {
  test.each([
    ['active', true],
    ['deactivated', true],
    ['suspended', false],
    ['pending', false],
    ['erased', false],
  ])('for a new password of an account that is %s: %s', async (status, expected) => {
    const { mailed } = await open({ status })
    expect(await mailed()).toHaveLength(expected ? 1 : 0)
  })

  test('for a confirmation: an active account whose address is not confirmed', async () => {
    const { mailed, expected } = await open({ emailVerified: false })
    expect(await mailed('confirm-email')).toEqual([[EMAIL, await expected('confirm-email')]])
    for (const change of [{ emailVerified: true }, { emailVerified: false, status: 'deactivated' }])
      expect(await (await open(change)).mailed('confirm-email')).toEqual([])
  })

  test('for a confirmation: accounts that wait for the address, three at most', async () => {
    const { mailed, expected, memory, id, set } = await open({ pendingEmail: NEW })
    const wait = (accountId: string) =>
      memory.put({ pk: keys.addressChanges(emailKey(NEW)), sk: `#CHANGE#${accountId}`, accountId })
    await wait(id)
    expect(await mailed('confirm-email', NEW)).toEqual([[NEW, await expected('change-email')]])
    expect(await mailed('reset-password', NEW)).toEqual([])
    for (const change of [{ pendingEmail: undefined }, { pendingEmail: 'other@example.com' }]) {
      await set(change)
      expect(await mailed('confirm-email', NEW)).toEqual([])
    }
    await set({ pendingEmail: NEW, status: 'deactivated' })
    expect(await mailed('confirm-email', NEW)).toEqual([])
  })

  test('for a recovery: an account with a second factor and a confirmed address, by how far it is', async () => {
    const totp = { seed: 'x', lastStep: 0, recovery: {} }
    for (const change of [{}, { totp, emailVerified: false }, { totp, status: 'suspended' }])
      expect(await (await open(change)).mailed('recovery')).toEqual([])
    const { mailed, expected, set, nowMs, advance, mails } = await open({ totp })
    expect(await mailed('recovery')).toEqual([[EMAIL, await expected('begin-recovery')]])
    await set({ recovery: { beganAtMs: nowMs() }, recoveryCode: undefined })
    expect(await mailed('recovery')).toEqual([[EMAIL, undefined]])
    expect(mails.at(-1)?.text).toContain('stop')
    advance(72 * HOUR_MS)
    expect(await mailed('recovery')).toEqual([[EMAIL, await expected('finish-recovery')]])
    await set({ totp: undefined })
    expect(await mailed('recovery')).toHaveLength(1)
    advance(4 * DAY_MS)
    await set({ recovery: { beganAtMs: nowMs() - 7 * DAY_MS } })
    expect(await mailed('recovery')).toEqual([[EMAIL, await expected('begin-recovery')]])
  })

  test('of a deactivated account learns that it restores the account', async () => {
    const { mailed, mails } = await open({ status: 'deactivated' })
    await mailed()
    const { mailed: other, mails: plain } = await open()
    await other()
    expect(mails[0]?.text).toMatch(/makes it active again/)
    expect(plain[0]?.text).not.toMatch(/makes it active again/)
  })
})

describe('the code of a mail', () => {
  test('is that of the mail before for as long as it is valid', async () => {
    const { mailed, advance } = await open()
    const first = await mailed()
    advance(10 * MINUTE_MS - 1)
    expect(await mailed()).toEqual(first)
    advance(10 * MINUTE_MS)
    const [[, second] = []] = await mailed()
    expect(second).not.toBe(first[0]?.[1])
  })

  test('is another one once it was used', async () => {
    const { mailed, ports, code } = await open()
    const first = await mailed()
    const key = keys.code(await code('resetCode'))
    await ports.table.put({ ...(await ports.table.get(key)), usedBy: 'x' } as never)
    expect(await mailed()).not.toEqual(first)
  })

  test('goes out five times an hour; then none does, but the newest is made valid again', async () => {
    const { mailed, advance, ports, code, nowMs } = await open()
    for (let n = 0; n < 5; n++) {
      expect(await mailed()).toHaveLength(1)
      advance(10 * MINUTE_MS)
    }
    expect(await mailed()).toEqual([])
    const item = await ports.table.get(keys.code(await code('resetCode')))
    expect(item).toMatchObject({ expiresAtMs: nowMs() + 10 * MINUTE_MS })
    advance(10 * MINUTE_MS - 1)
    expect(await mailed()).toEqual([])
    advance(1)
    expect(await mailed()).toHaveLength(1)
  })

  test('goes out a sixth time to an owner who has used up the one before, or whose code is void', async () => {
    const { mailed, ports, code, set } = await open()
    for (let n = 0; n < 5; n++) await mailed()
    expect(await mailed()).toEqual([])
    const key = keys.code(await code('resetCode'))
    await ports.table.put({ ...(await ports.table.get(key)), done: true } as never)
    expect(await mailed()).toHaveLength(1)
    await set({ resetCode: undefined })
    expect(await mailed()).toHaveLength(1)
  })

  test('goes out to an address that nobody has proved six times an hour for its mailbox', async () => {
    const { mailed, set, advance } = await open({ emailVerified: false })
    for (let n = 0; n < 5; n++) expect(await mailed('reset-password')).toHaveLength(1)
    await set({ resetCode: undefined })
    // The owner has not proved the address, so a void code frees no mail.
    expect(await mailed('reset-password')).toEqual([])
    // Requests for confirmations are counted apart.
    for (let n = 0; n < 5; n++) expect(await mailed('confirm-email')).toHaveLength(1)
    expect(await mailed('confirm-email')).toEqual([])
    advance(HOUR_MS)
    expect(await mailed('confirm-email')).toHaveLength(1)
  })

  test('goes to no address that gets no mail, and the operator learns of it', async () => {
    const undeliverable = { [EMAIL]: { reason: 'complained', atMs: 1 } }
    const { mailed, lines, id } = await open({ undeliverable })
    expect(await mailed()).toEqual([])
    expect(lines).toMatchObject([{ level: 'warn', accountId: id, template: 'reset-password' }])
  })

  test('is not mailed if the account has changed meanwhile, and the request is answered later', async () => {
    const { ask, answer, ports, set, mails, advance } = await open()
    await ask()
    const during = interleaved(ports, 'transact', 1, () => set({ status: 'suspended' }))
    expect(await answer(during)).toMatchObject({ done: 0, failed: 0 })
    await set({ status: 'active' })
    expect(await answer()).toMatchObject({ done: 0 })
    advance(MINUTE_MS)
    expect(await answer()).toMatchObject({ done: 1 })
    expect(mails).toHaveLength(1)
  })

  test('is stored although the mail cannot be sent, which the job tries again', async () => {
    const { ask, answer, ports, code, lines, items } = await open()
    await ask()
    const mail = { ...ports.mail, send: () => Promise.reject(new Error('an outage')) }
    expect(await answer({ ...ports, mail })).toMatchObject({ done: 1, failed: 0 })
    expect(await code('resetCode')).toMatch(/^[0-9a-f]{16}$/)
    expect([lines.length, (await items('MAIL#')).length]).toEqual([1, 1])
  })
})

describe('a run of the job', () => {
  const news = (world: Awaited<ReturnType<typeof open>>, atMs = 0) =>
    world.memory.put(
      (
        queueMail(
          world.ports,
          {
            accountId: world.id,
            ...{ to: EMAIL, template: 'security' },
            values: { username: 'ada', event: 'key-created', atMs },
          },
          0,
        ).write as { put: Item }
      ).put,
    )

  test('sends what waits and what was asked for, and counts both', async () => {
    const world = await open()
    await news(world)
    await world.ask()
    world.advance(90_500)
    expect(await sendWaitingMail(world.ports, world.nowMs() + MINUTE_MS)).toEqual({
      ...{ asked: 1, asksFailed: 0, recoveriesTold: 0, recoveriesFailed: 0, sent: 1, failed: 0 },
      ...{ dropped: 0, overdue: 0, oldestSeconds: 90, late: 0, left: 0 },
    })
    expect(world.mails).toHaveLength(2)
  })

  test('looks again a second later if many have asked, at once if it has left some, and otherwise ends', async () => {
    for (const [count, expected] of [
      [19, []],
      [20, [1000]],
      [23, []],
    ] as const) {
      const { ports, memory, nowMs } = await open()
      for (let n = 0; n < count; n++) {
        await memory.put({ ...keys.emailGuard(`a${n}@example.com`), accountId: '0'.repeat(24) })
        await requestMail(ports, 'reset-password', `a${n}@example.com`)
      }
      const waits: number[] = []
      const clock = { ...ports.clock, wait: async (ms: number) => void waits.push(ms) }
      await sendWaitingMail({ ...ports, clock }, nowMs() + MINUTE_MS)
      expect(waits).toEqual(expected)
    }
  })

  test('says that something was late from five minutes on', async () => {
    for (const [waitedMs, late] of [
      [5 * MINUTE_MS - 1, 0],
      [5 * MINUTE_MS, 1],
    ] as const) {
      const world = await open()
      await world.ask()
      world.advance(waitedMs)
      expect((await sendWaitingMail(world.ports, world.nowMs() + MINUTE_MS)).late).toBe(late)
      const other = await open()
      await news(other)
      other.advance(waitedMs)
      expect((await sendWaitingMail(other.ports, other.nowMs() + MINUTE_MS)).late).toBe(late)
    }
  })

  test('begins nothing once its time is over', async () => {
    const world = await open()
    await world.ask()
    expect(await sendWaitingMail(world.ports, world.nowMs())).toMatchObject({ asked: 0 })
    expect(world.mails).toEqual([])
  })

  test('tells of recoveries before it sends, so that their mails leave at once', async () => {
    const { memory, id, nowMs, ports, mails } = await open()
    await memory.put({ ...recoveryKey(id), beganAtMs: 1, daysTold: 0, ...dueAt('RECOVERY', id, nowMs()) })
    expect(await sendWaitingMail(ports, nowMs() + MINUTE_MS)).toMatchObject({ recoveriesTold: 1, sent: 1 })
    expect(mails).toHaveLength(1)
  })
})
