import type { MailTemplate } from './mails.ts'

/**
 * Who can have a mail sent, by its template, and what bounds it.
 * - `mailbox`: a stranger can have it sent to any address. The delivery counts it for its mailbox, and an address that
 *   has had its mails for the hour gets it in a later one.
 * - `request`: anybody can ask for it by the address. The answer counts it for the request, and for the mailbox unless
 *   the account has proved the address (`core/credentials/mail-requests.ts`).
 * - `owner`: something that the account's holder does, or that happens to the account. It goes only to addresses that
 *   the account has proved.
 * - `operator`: an operator's work.
 */
export const mailCauses = {
  'confirm-email': 'mailbox',
  'change-email': 'mailbox',
  'reset-password': 'request',
  'begin-recovery': 'request',
  'finish-recovery': 'request',
  recovery: 'request',
  invitation: 'operator',
  'email-is-changing': 'owner',
  security: 'owner',
  'low-quota': 'owner',
  'quota-alert': 'owner',
  renewed: 'owner',
  'renewal-action': 'owner',
  'renewal-declined': 'owner',
  'renewal-state': 'owner',
} as const satisfies Record<MailTemplate, 'mailbox' | 'request' | 'owner' | 'operator'>
