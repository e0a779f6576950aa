import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { registerAccount } from '../../core/account/register.ts'
import { DomainError } from '../../core/errors.ts'
import {
  crossedAlertKey,
  type DueKind,
  dueAt,
  eventDeliveryKey,
  type Key,
  keys,
  lotKey,
  monthlyKey,
  outEventKey,
  paymentKey,
  recoveryKey,
  refundKey,
  reservationKey,
  shownKey,
} from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { recordingLog } from '../support/log.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()
const ports = await app.ports()

const ID = '6548a41138406c14db33b606'
const ADDRESS = 'ada.lovelace@mail.example'

/** The log lines of this level since the test began. */
const lines = (level: string) =>
  app.logs.map((line) => JSON.parse(line)).filter((line) => line.level === level)

beforeEach(() => app.logs.splice(0))

/** For each kind of due work, a malformed item and the job that meets it. */
const BROKEN: Record<DueKind, { key: Key; item?: object; job: string }> = {
  ASK: { key: keys.ask('reset-password', ADDRESS), job: 'send-mail' },
  MAIL: { key: keys.mail(ID, 'broken'), job: 'send-mail' },
  ALERT: { key: crossedAlertKey(ID, 1, 1, 1), job: 'tell-alerts' },
  EVENT: { key: outEventKey(ID, 1, 'broken'), job: 'publish-events' },
  DELIVERY: { key: eventDeliveryKey(ID, 1, 'broken'), job: 'deliver-events' },
  QUOTA: { key: keys.quota(ID), job: 'check-quotas' },
  RESERVED: { key: reservationKey(ID, 'ff'), job: 'expire-reservations' },
  LOT: { key: lotKey(ID, 1, 1), job: 'expire-lots' },
  MONTHLY: { key: monthlyKey(ID), job: 'grant-monthly' },
  PURCHASE: { key: keys.purchase(ID, ID), job: 'settle-payments' },
  PENDING: { key: keys.profile(ID), item: { status: 'pending' }, job: 'sweep' },
  ERASE: { key: keys.profile(ID), job: 'sweep' },
  HOLD: { key: keys.hold(ID, ID), job: 'sweep' },
  CUSTOMER: { key: keys.profile(ID), job: 'sweep' },
  CARD: { key: keys.card(ID, 'pm_broken'), job: 'sweep' },
  RECOVERY: { key: recoveryKey(ID), job: 'send-mail' },
  USE: { key: keys.day(ID, 1), job: 'count-use' },
  REFUND: { key: refundKey(ID, ID), job: 'settle-payments' },
  PAYMENT: { key: paymentKey('pi_broken'), item: { accountId: 1 }, job: 'sweep' },
}

async function plant(kind: keyof typeof BROKEN, key = BROKEN[kind].key) {
  await ports.table.put({ ...key, ...BROKEN[kind].item, ...dueAt(kind, ID, ports.clock.nowMs()) })
}

describe('a run in which one item fails', () => {
  test.each(Object.entries(BROKEN))(
    '%s: leaves a line of level error that names job, item, cause and place',
    async (kind, { key, job }) => {
      await plant(kind as keyof typeof BROKEN)
      await app.job(job)
      await ports.table.remove(key)
      expect(lines('error')).toEqual([
        {
          level: 'error',
          job,
          what: 'a due item failed and stays due; a later run retries it',
          item: shownKey(key),
          cause: expect.stringMatching(/^\$?\w+$/),
          frames: expect.arrayContaining([expect.stringMatching(/^at .*core/)]),
        },
      ])
      expect(app.logs.join()).not.toContain('lovelace')
    },
  )

  test('of 25 failed items shows twenty and counts the rest', async () => {
    const broken = Array.from({ length: 25 }, (_, n) => keys.mail(ID, `broken-${n}`))
    for (const key of broken) await plant('MAIL', key)
    expect(await app.job('send-mail')).toMatchObject({ failed: 25 })
    for (const key of broken) await ports.table.remove(key)
    expect(lines('error')).toHaveLength(21)
    expect(lines('error').at(-1)).toEqual({
      level: 'error',
      job: 'send-mail',
      what: 'more failures',
      leftOut: 5,
    })
  })
})

test('a failure that the next run repairs leaves a line of level warn with the ids concerned', async () => {
  const { log, lines: warned } = recordingLog()
  const send = () =>
    Promise.reject(new DomainError('temporarily_unavailable', { cause: new TypeError(ADDRESS) }))
  const { id } = await registerAccount(
    { ...ports, log, mail: { ...ports.mail, send } },
    newPerson({ email: ADDRESS }),
  )
  expect(warned).toEqual([
    {
      level: 'warn',
      what: 'a mail could not be sent; the job send-mail will retry it',
      accountId: id,
      template: 'confirm-email',
      error: 'temporarily_unavailable',
      cause: 'TypeError',
      frames: expect.any(Array),
    },
  ])
  expect(JSON.stringify(warned)).not.toContain('lovelace')
})

test('a warning of a request carries its id and its route', async () => {
  // The SDK tries to send a mail three times.
  app.stack.mail.addFault({ fault: 'error-before', times: 3 })
  expect((await app.register(newPerson())).status).toBe(201)
  const [done] = lines('info')
  expect(lines('warn')).toEqual([
    expect.objectContaining({
      requestId: done.requestId,
      route: 'rest/create-user',
      template: 'confirm-email',
    }),
  ])
})

test('a hundred failures of one kind leave twenty lines a minute, and the next minute counts the omitted ones, also after the clock was set back', () => {
  let nowMs = 0
  const { log, lines: warned } = recordingLog(() => nowMs, 60_000)
  for (let n = 0; n < 100; n++) log.warn('a mail is not sent', new Error('x'))
  log.warn('another kind', new Error('x'))
  expect(warned).toHaveLength(21)
  nowMs = 60_000
  log.warn('a mail is not sent', new Error('x'))
  expect(warned.at(-1)).toMatchObject({ what: 'a mail is not sent', leftOut: 80 })
  nowMs = -60_000
  log.warn('a mail is not sent', new Error('x'))
  expect(warned).toHaveLength(23)
})

test('no code of core or functions swallows an error silently, except in known places', () => {
  const root = join(import.meta.dirname, '..', '..')
  const silent = ['core', 'functions'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .filter((file) =>
        /\.catch\(\(\) => (\{\s*\}|undefined)\)|catch \{\s*(\/\/[^\n]*\s*)*\}/.test(
          readFileSync(join(root, folder, file), 'utf8'),
        ),
      )
      .map((file) => `${folder}/${file}`),
  )
  expect(silent.toSorted()).toEqual([
    // A signature that does not fit one secret may fit the other.
    'core/adapters/stripe.ts',
    // A queue goes on after a failure, which its own caller gets.
    'core/purchases/rate-limit.ts',
    // What cannot be journalled is refused, and what was served already is told to the service.
    'functions/client/meter/exact.ts',
    // The journal's store keeps what it cannot read now; the next replay asks again.
    'functions/client/meter/journal.ts',
    // A service's own listener throws what it was told.
    'functions/client/meter/problems.ts',
    // Nobody reads the body any more.
    'functions/client/meter/web.ts',
    // This is the warm-up: the first request meets the same failure and reports it.
    'functions/http/live.ts',
    // A browser that keeps nothing forgets the choice when the page is closed.
    'functions/pages/kit/language.ts',
  ])
})
