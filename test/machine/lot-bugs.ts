// biome-ignore-all lint/suspicious/noTemplateCurlyInString: patches of sources that have them

import type { Bug } from './patch.ts'

const LIVES = 'random lives with units that expire are as counted by hand'
const CREDIT = 'a lot is credited once, wherever its credit breaks off, also before one that is spent in part'
const BOOKED = 'lots that expire are booked once, wherever the job breaks off'
const MONTHS = 'the units of a month come once, wherever the job breaks off'
const BLOCKED =
  'no units come for months in which an account is not active, and then those of the month that has begun'
const MEANWHILE =
  'an account that stops being active, or is active again, while the job looks gets what it should'

/** Bugs of units that expire. `foundBy` is the title of a scenario in `lot-scenarios.ts`. */
export const lotBugs: readonly (Bug & { title: string; foundBy: string })[] = [
  {
    title: 'a day begins without an expiry',
    find: 'if (!first || first.day > today) return { sets: [], removes: [], conditions: [unchanged] }',
    put: 'if (!first || first.day > 0) return { sets: [], removes: [], conditions: [unchanged] }',
    foundBy: 'a unit is not spent after its expiry, wherever a day begins',
  },
  {
    title: 'units that are held expire as well',
    find: 'Math.max(overdue, unused(last) - seen.held)',
    put: 'Math.max(overdue, unused(last))',
    foundBy: LIVES,
  },
  {
    title: 'the next lot forgets what has expired before it',
    find: 'next && { day: next.day, mark: next.mark - units }',
    put: 'next && { day: next.day, mark: next.mark }',
    foundBy: LIVES,
  },
  {
    title: 'a lot that expires first is spent last',
    find: ['const [head] = live', 'const before = live.findLast(({ day }) => day <= lot.day)'],
    put: ['const [head] = live', 'const before = live.findLast(({ day }) => day <= lot.day + 999)'],
    foundBy: CREDIT,
  },
  {
    title: 'a lot follows one that is used up meanwhile',
    find: 'conditions: [...sameLots(first), expr`#u <= ${before.mark}`]',
    put: 'conditions: [...sameLots(first), expr`#u <= ${before.mark + 1e9}`]',
    foundBy: 'use that comes between the look and the credit of a lot counts for the lots before it',
  },
  {
    title: 'a lot precedes one that is used up meanwhile',
    find: '(head ? [expr`#u <= ${head.mark}`] : [])',
    put: '(head ? [expr`#u <= ${head.mark + 1e9}`] : [])',
    foundBy: 'use that comes between the look and the credit of a lot counts for the lots after it',
  },
  {
    title: 'a slow process writes the rest of a lot that was true earlier',
    find: 'expr`#units = ${lot.units} AND (attribute_not_exists(#asOf) OR #asOf < ${seq})`',
    put: 'expr`#units = ${lot.units}`',
    foundBy: 'a process that was slow to move the rest of a lot does not bring back what was true earlier',
  },
  {
    title: 'what is left of a lot is what was credited',
    find: 'day === first.rest?.day ? first.rest.units : ofDay.reduce((sum, lot) => sum + lot.units, 0)',
    put: 'day === first.rest?.units ? first.rest.units : ofDay.reduce((sum, lot) => sum + lot.units, 0)',
    foundBy: LIVES,
  },
  {
    title: 'the rest of a lot is dropped before its item has it',
    find: 'const units = lot === keeper ? rest.units : 0',
    put: 'const units = lot === keeper ? lot.units : 0',
    foundBy: CREDIT,
  },
  {
    title: 'units that are taken back are those that never expire',
    find: 'first && taken > 0 ?',
    put: 'first && taken > 1e9 ?',
    foundBy: LIVES,
  },
  {
    title: 'what has expired is booked as often as the job looks',
    find: 'const booked = { set: [], remove: [expr`#X`], conditions: [expr`#X = ${units}`] }',
    put: 'const booked = { set: [], remove: [expr`#XX`], conditions: [expr`#X = ${units}`] }',
    foundBy: BOOKED,
  },
  {
    title: 'the item of a lot goes before what has expired is booked',
    find: [
      'if (item.X !== undefined) await bookExpiry(deps, accountId)',
      'if (hasLotEnded(lot, firstLot(item), seq)) await deps.table.remove(key)',
    ],
    put: [
      'if (hasLotEnded(lot, firstLot(item), seq)) await deps.table.remove(key)',
      'if (item.X !== undefined) await bookExpiry(deps, accountId)',
      'if (seq < 0) await deps.table.remove(key)',
    ],
    foundBy: BOOKED,
  },
  {
    title: 'units are reserved on a day that is over',
    find: 'const needsToday = caller.limits.budget || firstLot(counter.item)',
    put: 'const needsToday = caller.limits.budget && firstLot(counter.item)',
    foundBy: 'a reservation holds no unit after its expiry',
  },
  {
    title: 'a refused request is forgotten when units are booked as expired',
    find: 'to.isBooking === true && quota.refusedSeq === quota.seq',
    put: 'to.isBooking !== true && quota.refusedSeq === quota.seq',
    foundBy: 'a request that was refused still waits for its renewal after units were booked as expired',
  },
  {
    title: 'units that an operator gives never expire',
    find: '{ expiresAtMs: expiryAtMs(given.expiresAtMs) }',
    put: '{}',
    foundBy: 'units that an operator gives and that expire are given once, wherever the request breaks off',
  },
  {
    title: 'the units of a month come whenever the job looks',
    find: 'if (nowMs < untilMs) {',
    put: 'if (nowMs < untilMs - 1e12) {',
    foundBy: MONTHS,
  },
  {
    title: 'the units of a month go on after the month',
    find: 'await grantWrites(deps, account, item, nextDayOfMonthMs(nowMs, day))',
    put: 'await grantWrites(deps, account, item, nextDayOfMonthMs(nowMs, day) + 3e9)',
    foundBy: MONTHS,
  },
  {
    title: 'units come for each month that an account has missed',
    find: 'await grantWrites(deps, account, item, nextDayOfMonthMs(nowMs, day))',
    put: 'await grantWrites(deps, account, item, nextDayOfMonthMs(untilMs || nowMs, day))',
    namesFrom: [['const { day, untilMs } = readMonthly(item)', 'const nowMs = deps.clock.nowMs()']],
    foundBy: BLOCKED,
  },
  {
    title: 'an account that is not active gets the units of a month',
    find: "if (status !== 'active') { const later =",
    put: "if (status === 'pending') { const later =",
    foundBy: BLOCKED,
  },
  {
    title: 'an account that is active again waits for the next month',
    find: "...(status === 'active' ? [] : monthlyDue(id, plan, deps.clock.nowMs()))",
    put: "...(status !== 'active' ? [] : monthlyDue(id, plan, deps.clock.nowMs()))",
    foundBy: BLOCKED,
  },
  {
    title: 'the job puts an account off that has become active meanwhile',
    find: 'return { writes: [later, same], isGrant: false }',
    put: 'return { writes: [later], isGrant: false }',
    foundBy: MEANWHILE,
  },
  {
    title: 'a booking does not see that the account has been suspended',
    find: "join([expr`#ledgerSeq = ${ledgerSeq}`, unchangedSince(before, ['status'])], ' AND ')",
    put: 'expr`#ledgerSeq = ${ledgerSeq}`',
    foundBy: MEANWHILE,
  },
  {
    title: 'each refill moves the day on which the units of a month come',
    find: 'expr`SET #day = if_not_exists(#day, ${day}), #due = ${due}, #dueAtMs = ${dueAtMs}`',
    put: 'expr`SET #day = ${day}, #due = ${due}, #dueAtMs = ${dueAtMs}`',
    foundBy: 'another plan ends the units of the month or goes on with them, and gives none twice',
  },
  {
    title: 'a plan that is taken while the job looks gives no units',
    find: 'return { writes: [{ remove: key, if: unchanged }, same], isGrant: false }',
    put: 'return { writes: [{ remove: key }], isGrant: false }',
    foundBy: 'another plan ends the units of the month or goes on with them, and gives none twice',
  },
]
