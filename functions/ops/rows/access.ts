import * as z from 'zod/mini'
import { newEmail } from '../../../core/account/fields.ts'
import { reasonText as reason } from '../../../core/operators/reason.ts'
import { exportCursor, exportPage } from '../../http/export-schema.ts'
import { markdown } from '../../http/markdown.ts'
import { accountPath as path } from '../../http/operator-schemas.ts'
import { optionalField } from '../../http/optional-field.ts'
import type { OperatorRows } from '../../http/route.ts'

const onlyReason = z.strictObject({ reason })

const standing = z.object({
  id: z.string(),
  status: z.enum(['active', 'suspended', 'deactivated']),
  eraseAt: z.nullable(z.iso.datetime()),
})

/** How else the operator knows who asks, such as `passport seen in a video call`. */
const proof = optionalField(reason)

const STATUS = '`status` is that of the account now; `eraseAt` is when it is erased, or null.'

/** Who gets into an account: rows that suspend, sign out, help back in, close and erase. */
export const access = {
  suspend: {
    routes: ['POST /ops/support/accounts/{id}/suspend'],
    summary: 'Suspends an account: from the next request on its tokens and keys are refused',
    description: markdown(
      'Tokens and application keys get 403 `account_suspended`, a sign-in is refused, every session has ended, nothing is',
      'renewed, and a payment that waits for its customer is canceled. A payment that has taken money is still credited. The',
      'owner can lift a suspension in no way, and is told by mail and notice unless `silent` is true. Data, units and',
      'settings stay. A suspended account stays as it is, so the request may be sent again.',
      STATUS,
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({ reason, silent: optionalField(z.boolean()) }),
    responses: { 200: standing },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'payments', 'paymentScope'],
  },
  resume: {
    routes: ['POST /ops/support/accounts/{id}/resume'],
    summary: 'Ends a suspension: the account is again what it was before',
    description: markdown(
      'It is active or deactivated as before, with its units, settings and keys; its sessions stay ended. Whether a bundle',
      'that ran out is renewed is decided anew. The owner is told, unless the suspension was silent. An account that is not',
      'suspended stays as it is.',
      STATUS,
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 200: standing },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  signOut: {
    routes: ['POST /ops/support/accounts/{id}/sign-out'],
    summary: 'Ends every session of an account, and tells its owner',
    description: markdown(
      'Changes that a session has begun are void, such as one of the address. Application keys go on working. `sessions` is how',
      'many have ended.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 200: z.object({ sessions: z.int() }) },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  resetTwoFactor: {
    routes: ['POST /ops/support/accounts/{id}/reset-2fa'],
    summary: 'Switches two-factor authentication off for an owner who has lost it, after 72 hours',
    description: markdown(
      'For 72 hours the address of the account is told at once and every day, with a link that stops it; a sign-in with a',
      'code stops it too. Then authenticator, recovery codes and passkeys are removed and every session ends. The password and',
      'the keys stay. With `proof`, another proof of who asks, it is done at once; the audit log keeps the proof. 409',
      '`conflict`: mail to the account does not arrive, so without a proof nobody would be told.',
      '',
      '`state` is `off` or `waiting`. `by` is `owner` if the owner has begun a recovery, which only the owner finishes.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({ reason, proof }),
    responses: {
      200: z.object({
        state: z.enum(['off', 'waiting']),
        by: z.nullable(z.enum(['operator', 'owner'])),
        finishesAt: z.nullable(z.iso.datetime()),
      }),
    },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  keepTwoFactor: {
    routes: ['POST /ops/support/accounts/{id}/reset-2fa/stop'],
    summary: 'Stops what would switch two-factor authentication off, whoever has begun it',
    description: 'Also a recovery that somebody has begun with a mailed code. Without one it does nothing.',
    auth: 'operator',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 204: null },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  changeEmail: {
    routes: ['POST /ops/support/accounts/{id}/change-email'],
    summary: 'Changes the address of an account whose owner cannot reach the old one, after 72 hours',
    description: markdown(
      'For 72 hours the old address is told at once and every day, with a link that stops the change. Then a code is mailed to',
      'the new address, and the account keeps the old one until the code is used. With `proof`, another proof of who asks, the',
      'code is mailed at once; the audit log keeps the proof. An account that has confirmed no address gets the new one at once,',
      'to be confirmed. 409 `email_taken`: another account has proved the address. 409 `conflict`: the account is not active, or',
      'mail to the old address does not arrive, so without a proof nobody would be told.',
      '',
      '`state` is `waiting`, `confirming` once a code was mailed, or `unchanged` if the account has this address.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({ reason, email: newEmail, proof }),
    responses: {
      200: z.object({
        state: z.enum(['waiting', 'confirming', 'unchanged']),
        finishesAt: z.nullable(z.iso.datetime()),
      }),
    },
    errors: ['not_found', 'email_taken', 'conflict'],
    needs: ['table'],
  },
  keepEmail: {
    routes: ['POST /ops/support/accounts/{id}/change-email/stop'],
    summary: 'Stops a change of the address that waits or is not confirmed yet',
    description: 'Also a change that the owner has begun. Without one it does nothing.',
    auth: 'operator',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 204: null },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  resendMail: {
    routes: ['POST /ops/support/accounts/{id}/resend'],
    summary: 'Sends the mail again that an account waits for, and lets its addresses get mail again',
    description: markdown(
      'The code that confirms its address or a new one, or what follows in a recovery: `mails` has the purposes. It leaves',
      'within a minute, at most five times an hour unless you unlock the account. `cleared` says whether an address was marked',
      'as undeliverable. An address on SES’s own suppression list has to be taken off there.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 200: z.object({ mails: z.array(z.string()), cleared: z.boolean() }) },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  unlock: {
    routes: ['POST /ops/support/accounts/{id}/unlock'],
    summary: 'Lifts the limits that keep an owner out: wrong passwords and codes, and mails an hour',
    description: markdown(
      'Also those of exports, changes of the address and recoveries. Limits of cards and of network addresses stay. The password',
      'vault has a lock of its own, which ends within 15 minutes.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 204: null },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'keyring'],
  },
  close: {
    routes: ['POST /ops/support/accounts/{id}/close'],
    summary: 'Closes an account, which is erased after 30 days unless it is opened again',
    description: markdown(
      'As the owner’s `DELETE /v1/user`: nobody can use it, auto-renewal is off, and payments that wait are canceled. Until it is',
      'erased you can reopen it, and so can its owner by signing in. 409 `balance_owed`: it owes money. 409 `units_left`: units',
      'that were paid for are left; send `{"units": "forfeit"}` if they are to be lost. 409 `conflict`: it is suspended.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({ reason, units: optionalField(z.literal('forfeit')) }),
    responses: { 200: z.object({ status: z.literal('closed'), eraseAt: z.iso.datetime() }) },
    errors: ['not_found', 'units_left', 'balance_owed', 'conflict'],
    needs: ['table', 'payments', 'paymentScope'],
  },
  reopen: {
    routes: ['POST /ops/support/accounts/{id}/reopen'],
    summary: 'Makes a closed, deleted or deactivated account active again, and tells its owner',
    description:
      'Auto-renewal stays off if it was switched off. It lifts no suspension: 409 `conflict`. An active account stays active.',
    auth: 'operator',
    role: 'support',
    path,
    body: onlyReason,
    responses: { 204: null },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
  erase: {
    routes: ['POST /ops/admin/accounts/{id}/erase'],
    summary: 'Erases an account at once, with its units and debts; nothing brings it back',
    description: markdown(
      '`confirm` is the id or the e-mail address of the account, typed again. The ledger and the invoices stay, without a name.',
      '200 `erased`, or `erasing` while a payment is under way or a service does not answer: then the sweep goes on with it',
      'within an hour.',
    ),
    auth: 'operator',
    role: 'admin',
    path,
    body: z.strictObject({ reason, confirm: z.string().check(z.trim(), z.minLength(1), z.maxLength(254)) }),
    responses: { 200: z.object({ status: z.enum(['erased', 'erasing']) }) },
    errors: ['not_found', 'conflict'],
    needs: ['table', 'identity', 'keyring', 'payments', 'paymentScope'],
  },
  exportAccount: {
    routes: ['POST /ops/support/accounts/{id}/export'],
    summary: 'Exports everything that is stored about an account, page by page, and tells its owner',
    description: markdown(
      'As `POST /v1/user/export`: `next` is the `cursor` of the next page, or null. An export is recorded in the audit log when',
      'it starts, and pages within the next hour belong to it.',
    ),
    auth: 'operator',
    role: 'support',
    path,
    body: z.strictObject({ reason, cursor: optionalField(exportCursor) }),
    responses: { 200: exportPage },
    errors: ['not_found', 'conflict'],
    needs: ['table'],
  },
} as const satisfies OperatorRows
