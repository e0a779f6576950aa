import { describe, expect, test } from 'vitest'
import type { Profile } from '../../core/account/account.ts'
import type { Deps } from '../../core/ports.ts'
import {
  changeRenewal,
  type LeadMessage,
  type Renewal,
  renewalLimit,
} from '../../core/purchases/renewal-state.ts'
import { setRemove } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Write } from '../../core/table/table.ts'
import { memoryTable } from '../machine/memory-table.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const ON = { bundleAutoRenewal: true, lowQuotaNotification: true }
const OFF = { ...ON, bundleAutoRenewal: false }

function open() {
  let made = 0
  const hex = (bytes: number) => (++made).toString(16).padStart(2 * bytes, '0')
  return {
    table: memoryTable(),
    clock: { nowMs: () => NOW_MS },
    ids: { hex, uuid: () => `00000000-0000-4000-8000-${hex(6)}` },
  } as unknown as Deps<'table'>
}

const profile = (over: Partial<Profile> = {}): Profile =>
  ({
    id: 'a'.repeat(24),
    username: 'ada',
    email: 'ada@mail.example',
    status: 'active',
    flags: ON,
    bundle: 'STARTER',
    ...over,
  }) as Profile
const renewal = (over: Partial<Renewal> = {}): Renewal => ({
  state: 'paused',
  reason: 'declined',
  cardId: 'pm_1',
  failures: 1,
  ...over,
})

const putsOf = (writes: Write[]) => writes.flatMap((write) => ('put' in write ? [write.put] : []))

/** What a change tells: the notice, the mail and the event. */
function told(
  before: Partial<Profile>,
  to: Partial<Pick<Profile, 'flags' | 'bundle' | 'renewal'>>,
  how: { by?: 'first_bundle' | 'switched_on' | 'link' | 'allowed'; lead?: LeadMessage } = {},
) {
  const change = changeRenewal(open(), profile(before), to, how)
  const puts = putsOf(change.messages)
  const of = (prefix: string) =>
    puts.filter(({ sk, pk }) => `${sk}`.startsWith(prefix) || `${pk}`.startsWith(prefix))
  return {
    notices: of('NOTICE#').map(({ messageType }) => messageType),
    text: of('NOTICE#').map(({ message }) => String(message))[0],
    mails: of('MAIL#').map(({ template }) => template),
    values: of('MAIL#')[0]?.values as Record<string, unknown> | undefined,
    mail: of('MAIL#')[0],
    events: of('OUTEVENT#').map(({ data }) => data as Record<string, unknown>),
    alone: putsOf(change.events).map(({ type }) => type),
  }
}
const nothing = { notices: [], mails: [], events: [], alone: [] }

describe('a change of auto-renewal', () => {
  test.each<[string, Partial<Profile>, Parameters<typeof told>[1], string, string]>([
    ['is switched off', {}, { flags: OFF }, 'on', 'off'],
    ['is switched on', { flags: OFF }, { flags: ON }, 'off', 'on'],
    ['has its first bundle', { bundle: undefined }, { bundle: 'STARTER' }, 'off', 'on'],
    ['is paused', {}, { renewal: renewal() }, 'on', 'paused'],
    ['goes on', { renewal: renewal() }, { renewal: undefined }, 'paused', 'on'],
    ['is tried again', {}, { renewal: renewal({ state: 'retrying', nextAttemptAtMs: 5 }) }, 'on', 'retrying'],
    [
      'is paused after its last try',
      { renewal: renewal({ state: 'retrying' }) },
      { renewal: renewal() },
      'retrying',
      'paused',
    ],
    [
      'waits for its customer',
      {},
      { renewal: renewal({ state: 'action_required' }) },
      'on',
      'action_required',
    ],
    ['is capped', {}, { renewal: renewal({ state: 'capped', reason: 'monthly_cap' }) }, 'on', 'capped'],
  ])('by which it %s is told once: by a notice, a mail and an event', (_, before, to, from, state) => {
    const { notices, mails, events, alone } = told(before, to)
    expect(notices).toEqual([`renewal_${state}`])
    expect(mails).toEqual(['renewal-state'])
    expect(events).toMatchObject([{ from, state, bundle: 'STARTER' }])
    expect(alone).toEqual(['renewal.state_changed'])
    // The same again tells nothing.
    expect(told({ ...before, ...to }, to)).toMatchObject(state === 'action_required' ? {} : nothing)
  })

  test('tells why, how it came about and when it goes on', () => {
    expect(told({}, { flags: OFF }, { by: 'link' }).events).toMatchObject([{ reason: 'link' }])
    expect(told({ flags: OFF }, { flags: ON }, { by: 'switched_on' }).events).toMatchObject([
      { reason: 'switched_on' },
    ])
    expect(told({ flags: OFF }, { flags: ON }).events).toMatchObject([{ reason: 'other' }])
    // How it came about says nothing of an obstacle.
    expect(told({}, { renewal: renewal({ nextAttemptAtMs: 7 }) }, { by: 'allowed' }).events).toMatchObject([
      { reason: 'declined', nextAttemptAtMs: 7 },
    ])
  })

  test('that only has another reason is told, unless it is tried again anyway', () => {
    const paused = (reason: string) => renewal({ reason })
    expect(told({ renewal: paused('declined') }, { renewal: paused('no_card') }).notices).toEqual([
      'renewal_paused',
    ])
    const retrying = (reason: string) => renewal({ state: 'retrying', reason })
    expect(
      told({ renewal: retrying('declined') }, { renewal: retrying('insufficient_funds') }),
    ).toMatchObject(nothing)
  })

  test('to another purchase that waits for its customer is told each time, for each has a link', () => {
    const before = renewal({ state: 'action_required', reason: 'authentication_required' })
    expect(told({ renewal: before }, { renewal: { ...before } }).notices).toEqual(['renewal_action_required'])
    expect(told({ renewal: before }, { renewal: before })).toMatchObject(nothing)
    expect(told({ renewal: before }, { flags: ON })).toMatchObject(nothing)
  })

  test('of an erased account is told to nobody', () => {
    const { notices, mails, events } = told({ status: 'erased' } as never, { flags: OFF })
    expect([notices, mails, events]).toEqual([[], [], []])
    expect(
      told({ status: 'erased' } as never, {}, { lead: { messageType: 'x', text: 'y' } }).notices,
    ).toEqual([])
  })

  test('has the bundle that was held, if none is any more', () => {
    expect(told({}, { bundle: undefined, flags: OFF } as never).events).toMatchObject([{ bundle: 'STARTER' }])
  })
})

describe('another message to which the change is added', () => {
  const lead = { messageType: 'purchased', text: 'Payment received.' }

  test('is told even if renewal stays as it is, by a notice alone or by its own mail', () => {
    expect(told({}, {}, { lead })).toMatchObject({
      notices: ['purchased'],
      text: 'Payment received.',
      mails: [],
      events: [],
    })
    const { mails, values } = told(
      {},
      {},
      { lead: { ...lead, template: 'renewed', amountCents: 5, currency: 'USD' } },
    )
    expect(mails).toEqual(['renewed'])
    expect(values).toMatchObject({ username: 'ada', bundle: 'STARTER', amountCents: 5, currency: 'USD' })
    expect(told({}, {}, { lead: { messageType: 'renewal_declined' } })).toMatchObject(nothing)
  })

  test('comes first, then what happened to renewal and what comes next', () => {
    const { text, notices, mails, values } = told({}, { renewal: renewal() }, { lead })
    expect(notices).toEqual(['purchased'])
    expect(text).toMatch(/^Payment received\. \S.+\S$/)
    expect(mails).toEqual(['renewal-state'])
    expect(values).toMatchObject({ news: { state: 'paused', reason: 'declined' } })
    const without = told({}, { renewal: renewal() }, { lead: { messageType: 'renewal_declined' } })
    expect(without.notices).toEqual(['renewal_declined'])
    expect(`Payment received. ${without.text}`).toBe(text)
  })
})

test('a mail about a hold has its link, and no other mail has one', () => {
  const held = renewal({ state: 'held_back', reason: 'hourly_limit', heldAtMs: 5 })
  expect(told({}, { renewal: held }).mail).toMatchObject({ heldAtMs: 5 })
  const capped = renewal({ state: 'capped', reason: 'monthly_cap', heldAtMs: 5 })
  expect(told({}, { renewal: capped }).mail?.heldAtMs).toBeUndefined()
})

test('a limit is told in cents or as a number of renewals', () => {
  const limits = { monthlyCapCents: 500, maxRenewalsPerHour: 7, maxRenewalsPerDay: undefined }
  const limit = (reason: string) => renewalLimit(profile(limits), reason)
  expect(['monthly_cap', 'hourly_limit', 'daily_limit', 'declined'].map(limit)).toEqual([
    500,
    7,
    10,
    undefined,
  ])
})

describe('the write of a change', () => {
  const key = keys.profile('a'.repeat(24))

  async function written(
    before: Partial<Profile>,
    to: Parameters<typeof told>[1],
    meanwhile: Partial<Profile> = {},
  ) {
    const { table } = open()
    const change = changeRenewal(open(), profile(before), to)
    await table.put({ ...key, ...profile({ ...before, ...meanwhile }) })
    const isEmpty = change.set.length + change.remove.length === 0
    return table
      .transact([
        isEmpty
          ? { check: key, if: change.unchanged }
          : { update: key, set: setRemove(change.set, change.remove), if: change.unchanged },
      ])
      .then(
        async () => {
          const { flags, bundle, renewal } = (await table.get(key)) as unknown as Profile
          return { flags, bundle, renewal }
        },
        () => 'refused' as const,
      )
  }

  test('changes the fields that it names, and no other', async () => {
    const before = { flags: ON, bundle: 'STARTER', renewal: renewal() }
    expect(await written(before, {})).toEqual(before)
    expect(await written(before, { flags: OFF })).toEqual({ ...before, flags: OFF })
    expect(await written(before, { bundle: 'PRO' })).toEqual({ ...before, bundle: 'PRO' })
    expect(await written(before, { renewal: undefined })).toEqual({ ...before, renewal: undefined })
    const other = renewal({ reason: 'no_card' })
    expect(await written(before, { renewal: other })).toEqual({ ...before, renewal: other })
  })

  test('is refused if one of them has changed since it was read', async () => {
    expect(await written({}, { renewal: renewal() }, { flags: OFF })).toBe('refused')
    expect(await written({}, { renewal: renewal() }, { bundle: 'PRO' })).toBe('refused')
    expect(await written({}, { flags: OFF }, { renewal: renewal() })).toBe('refused')
  })
})
