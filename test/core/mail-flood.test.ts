import { describe, expect, test } from 'vitest'
import { newAccount } from '../../core/account/new-account.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import { inTurns, type MailRequestPurpose, requestMail } from '../../core/credentials/mail-requests.ts'
import { type MailRun, sendWaitingMail } from '../../core/credentials/send-waiting-mail.ts'
import { rateLimited } from '../../core/errors.ts'
import { queueMail } from '../../core/notifications/outbox.ts'
import type { Email, Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import type { Table } from '../../core/table/table.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { countedClock } from '../support/counted-clock.ts'
import { keyringOf } from '../support/keyrings.ts'
import { recordingLog } from '../support/log.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
/** How long each call to the table takes, and each mail. */
const CALL_MS = 5
const MAIL_MS = 60
/** How much of its minute a run may use. */
const RUN_MS = 40 * SECOND_MS

/**
 * The job on a clock of its own, on which every call takes its time. It starts every minute, unless a run lasts longer.
 * @param mailsASecond how many the provider takes; it refuses the others.
 */
function openStage({ mailsASecond = Number.POSITIVE_INFINITY } = {}) {
  const clock = countedClock()
  const memory = memoryTable()
  const slow = new Proxy(memory, {
    get:
      (table, name: keyof Table) =>
      async (...args: never[]) => {
        await clock.wait(CALL_MS)
        return (table[name] as (...args: never[]) => unknown)(...args)
      },
  })
  const sent: { to: string; atMs: number; template: string }[] = []
  const send = async ({ to, subject }: Email) => {
    await clock.wait(MAIL_MS)
    const nowMs = clock.nowMs()
    if (sent.filter(({ atMs }) => atMs > nowMs - SECOND_MS).length >= mailsASecond)
      throw rateLimited({ scope: 'all', retryAfterSeconds: undefined }, new Error('too fast'))
    sent.push({ to, atMs: nowMs, template: subject })
  }
  const { log, lines } = recordingLog(clock.nowMs)
  const mail = { send, appUrl: 'https://app.example', appName: 'Bursar' }
  const ports = {
    clock,
    ids: randomIds(clock),
    log,
    keyring: keyringOf('5'.repeat(64)),
    mail,
    table: memory,
  }
  const deps = ports as Partial<Ports> as Ports
  const startMs = clock.nowMs()
  const until = (ms: number) => clock.wait(startMs + ms - clock.nowMs())
  const runs: MailRun[] = []

  return {
    deps,
    sent,
    lines,
    runs,
    until,
    /** Has this happen while the job runs for some minutes. */
    async play(minutes: number, ...happens: Promise<void>[]) {
      const job = async () => {
        for (let minute = 0; minute < minutes; minute++) {
          await until(minute * MINUTE_MS)
          runs.push(await sendWaitingMail({ ...deps, table: slow }, clock.nowMs() + RUN_MS))
        }
      }
      await clock.run(Promise.all([job(), ...happens]))
    },
    /** A customer who has proved an address. @returns the account's id */
    async customer(email: string): Promise<string> {
      const { profile, quota } = newAccount(deps, { username: email.split('@')[0] ?? '', email })
      const { id } = profile
      await memory.putAll([
        { ...keys.profile(id), ...profile, status: 'active', emailVerified: true },
        quota,
        { ...keys.emailGuard(email), accountId: id },
      ])
      return id
    },
    ask: (ip: string, email: string, purpose: MailRequestPurpose = 'reset-password') =>
      requestMail({ ...deps, origin: { by: 'anyone', ip } }, purpose, email),
    /** When the first mail to an address left, ms after the start. */
    leftAtMs: (email: string) =>
      (sent.find(({ to }) => to === email)?.atMs ?? Number.POSITIVE_INFINITY) - startMs,
  }
}

type Stage = ReturnType<typeof openStage>

/** 3,000 asks a minute for addresses that nobody has, half of them resets, from some networks. */
async function flood(stage: Stage, minutes: number, networks: number): Promise<void> {
  for (let second = 0; second < minutes * 60; second++) {
    await stage.until(second * SECOND_MS)
    for (let n = 0; n < 25; n++) {
      const ip = `198.51.100.${(second * 25 + n) % networks}`
      await stage.ask(ip, `nobody-${second}-${n}@mail.example`)
      await stage.ask(ip, `no-one-${second}-${n}@mail.example`, 'confirm-email')
    }
  }
}

describe('3,000 asks a minute for addresses that nobody has, 5 ms a call', () => {
  test.each([[1], [200]])(
    'from %d network(s): a customer’s reset and news leave within 60 s, and no ask stays',
    async (networks) => {
      const stage = openStage()
      // At the beginning of a run, while it works, right after it, and shortly before the next one.
      const moments = [0.1, 20, 41, 59.5].flatMap((second, minute) => [
        (60 * (minute + 1) + second) * SECOND_MS,
      ])
      const waits: number[] = []
      const asks = moments.map(async (atMs, n) => {
        const email = `customer-${n}@mail.example`
        const accountId = await stage.customer(email)
        await stage.until(atMs)
        await stage.ask('192.0.2.7', email)
        const values = { username: 'ada', event: 'password-changed', atMs: 0 } as const
        const { write } = queueMail(
          stage.deps,
          { accountId, to: `news-${email}`, template: 'security', values },
          0,
        )
        await stage.deps.table.transact([write])
      })
      await stage.play(7, flood(stage, 5, networks), ...asks)
      for (const [n, atMs] of moments.entries())
        for (const to of [`customer-${n}@mail.example`, `news-customer-${n}@mail.example`])
          waits.push(stage.leftAtMs(to) - atMs)
      expect(Math.max(...waits)).toBeLessThanOrEqual(60 * SECOND_MS)
      expect(await stage.deps.table.due('ASK', Number.MAX_SAFE_INTEGER, 10)).toEqual([])
      expect(stage.runs.map(({ left, late, asksFailed }) => left + late + asksFailed)).toEqual(
        Array(7).fill(0),
      )
      expect(stage.lines).toEqual([])
    },
  )

  test('a backlog of 12,000 of them is gone after one run', async () => {
    const stage = openStage()
    for (let n = 0; n < 12_000; n++) await stage.ask('198.51.100.7', `nobody-${n}@mail.example`)
    await stage.play(1)
    expect(stage.runs).toMatchObject([{ asked: 0, asksFailed: 0, left: 0 }])
    expect(await stage.deps.table.due('ASK', Number.MAX_SAFE_INTEGER, 10)).toEqual([])
  }, 30_000)
})

describe('asks for 600 customers from one network, while SES takes one mail a second', () => {
  async function asked() {
    const stage = openStage({ mailsASecond: 1 })
    for (let n = 0; n < 600; n++) {
      await stage.customer(`victim-${n}@mail.example`)
      await stage.ask('198.51.100.7', `victim-${n}@mail.example`)
    }
    return stage
  }

  test('another network’s ask, and news, leave within 60 s', async () => {
    const stage = await asked()
    const accountId = await stage.customer('customer@mail.example')
    const customer = async () => {
      await stage.until(3 * MINUTE_MS + 1)
      await stage.ask('192.0.2.7', 'customer@mail.example')
      const values = { username: 'ada', event: 'password-changed', atMs: 0 } as const
      const news = { accountId, to: 'news@mail.example', template: 'security', values } as const
      await stage.deps.table.transact([queueMail(stage.deps, news, 0).write])
    }
    await stage.play(5, customer())
    const waits = ['customer@mail.example', 'news@mail.example'].map(
      (to) => stage.leftAtMs(to) - 3 * MINUTE_MS,
    )
    expect(Math.max(...waits)).toBeLessThanOrEqual(60 * SECOND_MS)
    // No mail failed because they came too fast.
    expect(stage.lines).toEqual([])
  })

  test('a run says that it leaves some, and one that finds them after five minutes that they are late', async () => {
    const stage = await asked()
    await stage.play(7)
    expect(stage.runs[0]).toMatchObject({ late: 0 })
    expect(stage.runs[0]?.left).toBeGreaterThan(500)
    expect(stage.runs[6]).toMatchObject({ late: 1 })
    expect(stage.runs[6]?.oldestSeconds).toBeGreaterThanOrEqual(300)
  })
})

test('whoever repeats an ask neither holds it back nor takes it out of its owner’s lane', async () => {
  const stage = openStage()
  await stage.customer('customer@mail.example')
  const repeat = async () => {
    for (let n = 0; n < 1_000; n++) {
      await stage.until(2 * MINUTE_MS - SECOND_MS + n * 7)
      await stage.ask('198.51.100.7', 'customer@mail.example')
    }
  }
  const owner = async () => {
    await stage.until(MINUTE_MS + 50)
    await stage.ask('192.0.2.7', 'customer@mail.example')
  }
  await stage.play(3, repeat(), owner())
  expect(stage.leftAtMs('customer@mail.example')).toBeLessThanOrEqual(2 * MINUTE_MS + 1 * SECOND_MS)
})

test('an ask that arrives while the run finds nobody is not lost', async () => {
  const stage = openStage()
  await stage.ask('192.0.2.7', 'late@mail.example')
  const registersMeanwhile = async () => {
    // After the run has read that nobody has the address, and before it removes the ask.
    await stage.until(6 * CALL_MS - 1)
    await stage.customer('late@mail.example')
    await stage.ask('192.0.2.7', 'late@mail.example')
  }
  await stage.play(2, registersMeanwhile())
  expect(stage.sent.map(({ to }) => to)).toEqual(['late@mail.example'])
})

test('lanes take turns, the oldest of each first, and an ask of several lanes has the best of their places', () => {
  const ask = (name: string, dueAtMs: number, ...lanes: number[]) => ({
    name,
    dueAtMs,
    lanes: new Set(lanes),
  })
  const asks = [ask('a3', 3, 1), ask('a1', 1, 1), ask('a2', 2, 1), ask('b1', 9, 2), ask('both', 8, 1, 3)]
  expect(inTurns(asks, 0).map(({ name }) => name)).toEqual(['a1', 'both', 'b1', 'a2', 'a3'])
  expect(inTurns(asks, 2).map(({ name }) => name)).toEqual(['b1', 'a1', 'both', 'a2', 'a3'])
  expect(inTurns([], 5)).toEqual([])
})
