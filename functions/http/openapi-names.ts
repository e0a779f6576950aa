import type { $ZodType } from 'zod/v4/core'
import { assertion, attestation } from '../../core/credentials/passkey-shapes.ts'
import { catalogueSchema } from '../../core/plans/plan.ts'
import { admin } from '../admin/routes.ts'
import { api } from '../api/routes.ts'
import { ops } from '../ops/routes.ts'
import { rest } from '../rest/routes.ts'
import { v1 } from '../v1/routes.ts'
import { emcpUser, message } from './account-schemas.ts'
import { ownedKey } from './key-schemas.ts'
import { customer, newAddress, stripeCard } from './payment-schemas.ts'
import { accountLine, accountPage } from './report-schemas.ts'
import type { Placed } from './route.ts'

/** The schema of one entry of a list. */
const entry = <E extends $ZodType>(list: { _zod: { def: { element: E } } }): E => list._zod.def.element

/** The schema of a value that may be null or absent. */
const present = <I extends $ZodType>(schema: { _zod: { def: { innerType: I } } }): I =>
  schema._zod.def.innerType

const account = v1.getUser.responses[200].shape
const spent = v1.consume.responses[200].shape
const found = accountPage.shape

/**
 * The names of shapes in the documents. Each body and each answer that is not here has one that is made of its row's
 * name, so a shape needs a line only if it is part of others, or if a better name is known. The names are kept out of the
 * rows, because they would be in the bundles of the functions.
 */
const NAMES: readonly (readonly [name: string, schema: $ZodType])[] = [
  ['Message', message],
  ['Account', v1.getUser.responses[200]],
  ['BillingAddress', present(account.address)],
  ['Units', account.usage],
  ['HeldBundle', present(account.bundle)],
  ['Renewal', account.renewal],
  ['Alert', entry(account.alerts)],
  ['NewAlert', entry(v1.setAlerts.body.shape.alerts)],
  ['EmcpAccount', emcpUser],
  ['SkylinkAccount', rest.getUser.responses[200].shape.content],
  ['SkylinkAnswer', rest.getUser.responses[200]],
  ['Tokens', v1.login.responses[200]],
  ['Session', entry(v1.listSessions.responses[200])],
  ['Activity', entry(v1.listActivity.responses[200])],
  ['Passkey', entry(v1.listPasskeys.responses[200])],
  ['PasskeyAnswer', assertion],
  ['NewPasskey', attestation],
  ['ApplicationKey', ownedKey],
  ['ListedKey', entry(v1.listKeys.responses[200])],
  ['ShownKey', v1.createKey.responses[201]],
  ['SpendingKey', spent.key],
  ['Spending', v1.consume.responses[200]],
  ['SettledReservation', v1.settleReservation.responses[200]],
  ['BatchRequest', entry(v1.consumeBatch.body.shape.requests)],
  ['BatchAnswer', entry(v1.consumeBatch.responses[200].shape.answers)],
  ['DayOfUse', entry(v1.usage.responses[200].shape.days)],
  ['NewAddress', newAddress],
  ['Card', stripeCard],
  ['CardAddress', customer.shape.address._zod.def.innerType],
  ['StripeCustomer', customer],
  ['PendingPurchase', v1.buy.responses[202]],
  ['Purchase', v1.getPurchase.responses[200]],
  ['Invoice', entry(v1.listInvoices.responses[200])],
  ['InvoiceDetails', v1.getInvoice.responses[200]],
  ['LedgerEntry', entry(v1.listLedger.responses[200])],
  ['Notice', entry(api.notifications.responses[200])],
  ['EmcpInvoice', entry(admin.listInvoices.responses[200])],
  ['AccountLine', accountLine],
  ['AccountPage', accountPage],
  ['AccountUnits', found.units],
  ['AccountPurchase', entry(found.purchases)],
  ['AccountCard', entry(found.cards)],
  ['Standing', ops.suspend.responses[200]],
  ['Booked', ops.grant.responses[200]],
  ['Operator', entry(ops.listOperators.responses[200].shape.operators)],
  ['AdminKey', ops.addAdminKey.responses[201].shape.adminKey],
  ['Service', ops.addService.responses[201].shape.service],
  ['EventEndpoint', ops.addEventEndpoint.responses[201].shape.endpoint],
  ['AuditEntry', entry(ops.auditOfAccount.responses[200])],
  ['Delivery', entry(ops.listDeliveries.responses[200])],
  ['Coupon', ops.addCoupon.responses[200].shape.coupon],
  ['Catalogue', catalogueSchema],
  ['Plan', entry(catalogueSchema.shape.plans)],
  ['ImportedUser', entry(ops.importUsers.body.shape.users)],
]

/** Other dialects than Bursar's own say in their names which they are. */
const PREFIX: Partial<Record<Placed['dialect'], string>> = { api: 'Emcp', rest: 'Skylink', admin: 'Admin' }

const nameOf = ({ dialect, name }: Placed): string =>
  (PREFIX[dialect] ?? '') + name.charAt(0).toUpperCase() + name.slice(1)

/** What an optional schema is of, if it is there; any other schema itself. */
export const insideOf = (schema: $ZodType): $ZodType => {
  const { type, innerType } = schema._zod.def as unknown as { type: string; innerType?: $ZodType }
  return type === 'optional' && innerType ? insideOf(innerType) : schema
}

const isObject = ({ _zod: { def } }: $ZodType): boolean => def.type === 'object'

/** The shapes of a row that have no name of their own, with one that is made of the row's name. */
function ownShapes(row: Placed): [schema: $ZodType, name: string][] {
  const answers = Object.entries(row.responses).flatMap(([status, schema]) =>
    schema ? [[status, schema] as const] : [],
  )
  const name = nameOf(row)
  return [
    ...(row.body ? [[insideOf(row.body), `${name}Body`] as [$ZodType, string]] : []),
    ...answers.map(([status, schema]): [$ZodType, string] => [
      schema,
      answers.length > 1 ? `${name}Answer${status}` : `${name}Answer`,
    ]),
  ].filter(([schema]) => isObject(schema))
}

/** The name of each shape of these rows. */
export function shapeNames(rows: readonly Placed[]): Map<$ZodType, string> {
  const names = new Map(NAMES.map(([name, schema]) => [schema, name]))
  for (const [schema, name] of rows.flatMap(ownShapes)) if (!names.has(schema)) names.set(schema, name)
  return names
}
