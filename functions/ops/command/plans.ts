import { readFileSync } from 'node:fs'
import { ops } from '../routes.ts'
import { type Commands, command } from './command.ts'
import { table, timeText } from './text.ts'

const readJson = (path: unknown): unknown => {
  const json = JSON.parse(readFileSync(String(path), 'utf8'))
  // What `plans show --json` has printed can be applied as it is.
  return json.catalogue ?? json
}

const shown = (value: unknown): string => (value === undefined ? '' : JSON.stringify(value))

export const planCommands = {
  'plans show': command(ops.showPlans, {
    summary: 'shows the plans that are sold; with --json as a file to edit and apply',
    flags: { version: 'the number of an older version; 0 is the deployed file' },
    show: ({ version, at, by, catalogue: { trialUnits, plans } }) =>
      [
        at === null ? `Version ${version}.` : `Version ${version}, applied ${timeText(at)} by ${by ?? ''}.`,
        `The trial has ${trialUnits} units.`,
        '',
        table(
          ['NAME', 'UNITS', 'PRICES', 'FOR', 'LISTED'],
          plans.map(({ name, units, prices, for: takers = 'new', hidden }) => [
            name,
            String(units),
            Object.entries(prices)
              .map(([currency, cents]) => `${cents} ${currency}`)
              .join(', '),
            takers,
            hidden ? 'no' : 'yes',
          ]),
        ),
      ].join('\n'),
  }),
  'plans versions': command(ops.listPlanVersions, {
    summary: 'lists the versions of the plans, newest first',
    show: ({ versions }) =>
      table(
        ['VERSION', 'APPLIED (UTC)', 'BY', 'REASON'],
        versions.map(({ version, at, by, reason }) => [
          String(version),
          at === null ? '' : timeText(at),
          by ?? '',
          reason ?? '',
        ]),
      ),
  }),
  'plans diff': command(ops.comparePlans, {
    summary: 'checks a file of plans, and shows what it would change',
    takes: ['catalogue'],
    run: async (terminal, { catalogue }) => {
      const answer = await terminal.call(ops.comparePlans, { catalogue: readJson(catalogue) })
      return terminal.json ? JSON.stringify(answer, null, 2) : changesText(answer.changes)
    },
    show: ({ changes }) => changesText(changes),
  }),
  'plans apply': command(ops.applyPlans, {
    summary: 'puts the plans of a file on sale',
    takes: ['catalogue'],
    flags: { reason: 'why, for the audit log' },
    defaults: { reason: 'npm run ops -- plans apply' },
    asks: ({ catalogue }) =>
      `This puts the plans of ${catalogue} on sale; "plans diff ${catalogue}" shows what they change.`,
    run: async (terminal, { catalogue: path, reason }) => {
      const catalogue = readJson(path)
      const { replaces, changes } = await terminal.call(ops.comparePlans, { catalogue })
      const answer = await terminal.call(ops.applyPlans, { catalogue, replaces, reason })
      if (terminal.json) return JSON.stringify(answer, null, 2)
      return answer.isNew
        ? `${changesText(changes)}\n\nVersion ${answer.version} is on sale. Holders keep their terms.`
        : `These plans are on sale already, as version ${answer.version}.`
    },
    show: ({ version }) => `Version ${version} is on sale.`,
  }),
  'coupons list': command(ops.listCoupons, {
    summary: 'lists the coupons, and how often each was redeemed',
    show: ({ coupons }) =>
      table(
        ['CODE', 'GIVES', 'USED', 'OF', 'EACH', 'UNTIL (UTC)', 'STATE'],
        coupons.map(
          ({ code, percent, amountCents, currency, units, used, limit, perAccount, to, stoppedAt }) => [
            code,
            percent !== null
              ? `${percent} %`
              : amountCents !== null
                ? `${amountCents} ${currency}`
                : `${units} units`,
            String(used),
            limit === null ? 'any' : String(limit),
            String(perAccount),
            to === null ? '' : timeText(to),
            stoppedAt === null ? 'live' : `stopped ${timeText(stoppedAt)}`,
          ],
        ),
      ),
  }),
  'coupons add': command(ops.addCoupon, {
    summary: 'makes a coupon: per cent or an amount off, or units on top',
    flags: {
      code: 'the code; a random one if left out',
      percent: 'per cent off the price, 1 to 99',
      amountCents: 'an amount off, in the minor unit of --currency',
      currency: 'the currency of the amount, such as USD',
      units: 'units on top',
      from: 'when it begins, such as 2026-12-01T00:00:00Z',
      to: 'when it ends',
      limit: 'how often it can be redeemed in all',
      perAccount: 'how often by one account; once if left out',
      reason: 'why, for the audit log',
    },
    defaults: { reason: 'npm run ops -- coupons add' },
    asks: () => 'This makes a coupon, which customers can redeem at once unless --from says later.',
    show: ({ coupon: { code } }) => `The coupon ${code} can be redeemed.`,
  }),
  'coupons stop': command(ops.stopCoupon, {
    summary: 'stops a coupon for good',
    takes: ['code'],
    flags: { reason: 'why, for the audit log' },
    defaults: { reason: 'npm run ops -- coupons stop' },
    asks: ({ code }) => `This stops the coupon ${code} for good.`,
    show: ({ coupon: { code, used } }) => `The coupon ${code} is stopped. It was redeemed ${used} times.`,
  }),
} satisfies Commands

interface Change {
  plan?: string | undefined
  change: string
  field?: string | undefined
  before?: unknown
  after?: unknown
}

const changesText = (changes: readonly Change[]): string =>
  changes.length === 0
    ? 'Nothing would change.'
    : table(
        ['PLAN', 'CHANGE', 'FIELD', 'BEFORE', 'AFTER'],
        changes.map(({ plan = '', change, field = '', before, after }) => [
          plan,
          change,
          field,
          shown(before),
          shown(after),
        ]),
      )
