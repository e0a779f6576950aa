import { type SecurityEvent, securityTexts } from '../notifications/security-texts.ts'

/**
 * What the audit log knows beside the security events that an account's owner is told of, with the sentence that a
 * person reads. Those of operators begin with `operator.`, those of an account with `account.`.
 */
export const actions = {
  'account.confirmed': 'The e-mail address was confirmed',
  'account.signed-in': 'Signed in',
  'account.key-signed-in': 'An application key got an access token that only reads',
  'account.wrong-code': 'A wrong two-factor code was typed after the right password',
  'account.signed-out': 'A session was ended',
  'account.signed-out-everywhere': 'Every session was ended',
  'account.password-refused': 'The new password was refused, so the old one stays; every session has ended',
  'account.key-revoked': 'An application key was revoked',
  'account.recovery-begun': 'A recovery without two-factor codes was begun',
  'operator.added': 'An account was made an operator, or got another role',
  'operator.removed': 'An account is no operator any more',
  'operator.granted': 'An operator gave units',
  'operator.took': 'An operator took units back',
  'operator.units_set': 'An operator set how many units are left',
  'operator.credited': 'An operator put money on the balance',
  'operator.debited': 'An operator took money off the balance',
  'operator.refunded': 'An operator ordered a refund of a purchase',
  'operator.refund_refused': 'Stripe refused a refund that an operator had ordered',
  'operator.reconciled': 'An operator compared an account with its ledger and with Stripe',
  'operator.endpoint_added': 'An endpoint for events was made',
  'operator.endpoint_changed': 'An endpoint for events was changed',
  'operator.endpoint_rotated': 'An endpoint for events got another secret',
  'operator.endpoint_tested': 'A test event was sent to an endpoint',
  'endpoint.disabled': 'An endpoint for events was disabled, because nothing arrived there',
  'operator.events_replayed': 'Events were sent to an endpoint again',
  'operator.imported': 'An operator imported the account from another system',
  'operator.plans_applied': 'An operator put other plans on sale',
  'operator.suspended': 'An operator suspended the account',
  'operator.resumed': 'An operator ended the suspension of the account',
  'operator.signed_out': 'An operator ended every session of the account',
  'operator.unlocked': 'An operator lifted the limits that kept the owner out',
  'operator.mail_resent': 'An operator had the mail sent again that the account waits for',
  'operator.two_factor_reset_begun': 'An operator began to switch two-factor authentication off',
  'operator.two_factor_reset_stopped': 'An operator stopped a recovery of the account',
  'operator.two_factor_reset': 'Two-factor authentication was switched off for an operator',
  'operator.address_change_begun': 'An operator began to change the e-mail address',
  'operator.address_change_stopped': 'An operator stopped a change of the e-mail address',
  'operator.address_change_mailed': 'The new e-mail address that an operator had set was mailed its code',
  'operator.closed': 'An operator closed the account, which is erased after 30 days',
  'operator.reopened': 'An operator made a closed or deactivated account active again',
  'operator.erased': 'An operator had the account erased at once',
  'operator.exported': 'An operator exported the data of the account',
  'operator.service_added': 'A service got a credential that spends units for customers',
  'operator.service_revoked': 'The credential of a service was revoked',
  'operator.admin_key_added': 'A program got an admin key',
  'operator.admin_key_revoked': 'An admin key was revoked',
  'operator.card_blocked': 'An operator blocked a card for every account',
  'operator.card_unblocked': 'An operator let every account buy with a card again',
  'operator.mail_domain_ruled': 'An operator blocked or allowed a domain of mail, or left it to the list',
  'operator.coupon_added': 'An operator made a coupon',
  'operator.coupon_stopped': 'An operator stopped a coupon',
} as const satisfies Record<string, string>

export type Action = keyof typeof actions | `account.${Exclude<SecurityEvent, 'new-sign-in'>}`

/** What a person reads of an action; for one that the code no longer knows, its name. */
export function actionText(action: string): string {
  const [, event = ''] = action.split('account.')
  if (Object.hasOwn(securityTexts, event)) return securityTexts[event as keyof typeof securityTexts].subject
  return Object.hasOwn(actions, action) ? actions[action as keyof typeof actions] : action
}
