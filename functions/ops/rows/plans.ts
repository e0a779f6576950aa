import * as z from 'zod/mini'
import { reasonText } from '../../../core/operators/reason.ts'
import { catalogueSchema } from '../../../core/plans/plan.ts'
import { pathText } from '../../http/cut-text.ts'
import { markdown } from '../../http/markdown.ts'
import { optionalField } from '../../http/optional-field.ts'
import { pageLimit } from '../../http/page-query.ts'
import type { OperatorRows } from '../../http/route.ts'

const moment = z.iso.datetime().check(z.maxLength(30))
const number = z.string().check(z.regex(/^\d{1,8}$/, 'must be the number of a version'))

const listedVersion = z.object({
  version: z.int(),
  at: z.nullable(z.iso.datetime()),
  by: z.nullable(z.string()),
  reason: z.nullable(z.string()),
})

/** A member of a plan, or all of a plan's. */
const anything = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.array(z.string()),
  z.record(z.string(), z.unknown()),
])

const change = z.object({
  plan: z.optional(z.string()),
  change: z.enum(['added', 'removed', 'changed']),
  field: z.optional(z.string()),
  before: z.optional(anything),
  after: z.optional(anything),
})

const coupon = z.object({
  code: z.string(),
  percent: z.nullable(z.number()),
  amountCents: z.nullable(z.int()),
  currency: z.nullable(z.string()),
  units: z.nullable(z.int()),
  from: z.iso.datetime(),
  to: z.nullable(z.iso.datetime()),
  limit: z.nullable(z.int()),
  perAccount: z.int(),
  used: z.int(),
  createdAt: z.iso.datetime(),
  stoppedAt: z.nullable(z.iso.datetime()),
})

const givesOneThing = (coupon: {
  percent?: number | undefined
  amountCents?: number | undefined
  units?: number | undefined
}) => [coupon.percent, coupon.amountCents, coupon.units].filter((each) => each !== undefined).length === 1

export const plans = {
  showPlans: {
    routes: ['GET /ops/read/plans'],
    summary: 'Reads the plans that are sold, or those of one version',
    description: markdown(
      '`version` 0 is the file that was deployed, which counts until other plans are applied. Prices are in the minor unit',
      'of their currency. What the members mean is in functions/README.md, under Changing the catalogue.',
    ),
    auth: 'operator',
    role: 'read',
    query: z.strictObject({ version: optionalField(number) }),
    responses: { 200: z.extend(listedVersion, { catalogue: catalogueSchema }) },
    errors: ['not_found'],
    needs: ['table'],
  },
  listPlanVersions: {
    routes: ['GET /ops/read/plans/versions'],
    summary: 'Lists the versions of the plans that were applied, newest first',
    description: markdown('With a `Link` to the next page. Version 0, the deployed file, is not listed.'),
    auth: 'operator',
    role: 'read',
    query: z.strictObject({ limit: pageLimit, cursor: z.optional(number) }),
    responses: { 200: z.object({ versions: z.array(listedVersion) }) },
    errors: [],
    needs: ['table'],
  },
  comparePlans: {
    routes: ['POST /ops/read/plans/compare'],
    summary: 'Checks plans, and shows what they would change',
    description: markdown(
      'Nothing changes. 400 `invalid_request` names every mistake of the plans. `replaces` is the version that they were',
      'compared with.',
    ),
    auth: 'operator',
    role: 'read',
    body: z.strictObject({ catalogue: catalogueSchema }),
    responses: { 200: z.object({ replaces: z.int(), changes: z.array(change) }) },
    errors: [],
    needs: ['table'],
  },
  applyPlans: {
    routes: ['PUT /ops/admin/plans'],
    summary: 'Puts other plans on sale, as a new version',
    description: markdown(
      'Sign-ups and changes of bundle take them from then on. Who holds a plan keeps the terms with which it was taken, and',
      'a purchase that is open keeps its amount. An older version comes back by applying its plans.',
      '',
      '- 400 `invalid_request` names every mistake; nothing was applied.',
      '- 409 `conflict`: `replaces` is given and is not the present version any more. Compare again.',
      '- The same plans as those on sale are answered with their version and `isNew: false`.',
    ),
    auth: 'operator',
    role: 'admin',
    body: z.strictObject({
      catalogue: catalogueSchema,
      replaces: optionalField(z.int().check(z.gte(0))),
      reason: reasonText,
    }),
    responses: { 200: z.object({ version: z.int(), isNew: z.boolean() }) },
    errors: ['conflict'],
    needs: ['table'],
  },
  listCoupons: {
    routes: ['GET /ops/read/coupons'],
    summary: 'Lists the coupons by code, with how often each was redeemed',
    description: markdown(
      'With a `Link` to the next page. `used` counts purchases that are open or charged.',
    ),
    auth: 'operator',
    role: 'read',
    query: z.strictObject({
      limit: pageLimit,
      cursor: z.optional(z.string().check(z.regex(/^[A-Z0-9][A-Z0-9-]{3,31}$/))),
    }),
    responses: { 200: z.object({ coupons: z.array(coupon) }) },
    errors: [],
    needs: ['table'],
  },
  addCoupon: {
    routes: ['POST /ops/admin/coupons'],
    summary: 'Makes a coupon',
    description: markdown(
      'It gives exactly one of: `percent` off (1 to 99), `amountCents` off in the minor unit of `currency`, or `units` on',
      'top. A price never falls below what Stripe charges at least. Without `code` a random one is made. It is redeemed',
      '`limit` times in all (without it: no limit) and `perAccount` times (1) by an account, from `from` on (now) and before',
      '`to` (for ever). Renewals use no coupons.',
      '',
      '- 409 `conflict`: another coupon has the code. The same coupon again is answered as it is.',
    ),
    auth: 'operator',
    role: 'admin',
    body: z
      .strictObject({
        code: optionalField(z.string().check(z.maxLength(32))),
        percent: optionalField(z.int()),
        amountCents: optionalField(z.int()),
        currency: optionalField(z.string().check(z.maxLength(3))),
        units: optionalField(z.int()),
        from: optionalField(moment),
        to: optionalField(moment),
        limit: optionalField(z.int()),
        perAccount: optionalField(z.int()),
        reason: reasonText,
      })
      .check(
        z.refine(givesOneThing, { path: ['percent'], error: 'or amountCents, or units: give exactly one' }),
      ),
    responses: { 200: z.object({ coupon }) },
    errors: ['conflict'],
    needs: ['table'],
  },
  stopCoupon: {
    routes: ['POST /ops/admin/coupons/{code}/stop'],
    summary: 'Stops a coupon for good',
    description: markdown(
      'Purchases that have begun with it go on. A coupon that was stopped before is answered as it is.',
    ),
    auth: 'operator',
    role: 'admin',
    path: z.object({ code: pathText }),
    body: z.strictObject({ reason: reasonText }),
    responses: { 200: z.object({ coupon }) },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
} as const satisfies OperatorRows
