import type { Email } from '../ports.ts'
import { priceText } from './amounts.ts'

/** All that a mail can show. A template gets no other data. */
export interface MailValues {
  username: string
  /** The whole code, only in mails with a code. */
  code?: string | undefined
  /** Bundle, amount and id of a purchase, only in mails about a purchase. */
  bundle?: string | undefined
  /** In the minor unit of `currency` (ISO 4217). */
  amountCents?: number | undefined
  currency?: string | undefined
  /** Only in low-quota mails: whether units were added, or the bundle is no longer sold. */
  since?: 'refilled' | 'removed' | undefined
  purchaseId?: string | undefined
  /** The team's own frontend, from the deployment's settings. Links must not depend on request headers. */
  appUrl?: string | undefined
}

/** What a low-quota mail says, by what is true when it is written. */
const LOW_QUOTA: Record<'low' | NonNullable<MailValues['since']>, (bundle: string) => string[]> = {
  low: (bundle) => [
    `Less than 10 % of your ${bundle} bundle is left.`,
    'If auto-renewal is on, we will renew it when less than 1 % is left. You can also refill it at any time.',
  ],
  removed: (bundle) => [
    `Less than 10 % of your ${bundle} bundle is left.`,
    'We no longer sell this bundle, so it can be neither renewed nor refilled. Please choose another bundle to get more units.',
  ],
  refilled: () => [
    'Your units had fallen below 10 % of your bundle. More have been added since, so you need not do anything.',
  ],
}

type Template = (values: MailValues) => { subject: string; lines: string[] }

/** Every mail that Bursar sends. */
const templates = {
  'confirm-email': ({ username, code = '' }) => ({
    subject: 'Confirm your e-mail address',
    lines: [
      `Hello ${username},`,
      'Please use this code to confirm your e-mail address. It is valid for 24 hours:',
      code,
      'If you did not register, please ignore this mail. Nothing happens without the code.',
    ],
  }),
  'change-email': ({ username, code = '' }) => ({
    subject: 'Confirm your new e-mail address',
    lines: [
      `Hello ${username},`,
      'Please use this code to confirm your new e-mail address. It is valid for 24 hours:',
      code,
      'Your account keeps its old address until then.',
    ],
  }),
  'email-is-changing': ({ username }) => ({
    subject: 'Your e-mail address is about to change',
    lines: [
      `Hello ${username},`,
      'Someone who is signed in to your account asked to change its e-mail address. Your account keeps this address until the new one is confirmed.',
      'If this was not you, please change your password now. That ends every session.',
    ],
  }),
  'reset-password': ({ username, code = '' }) => ({
    subject: 'Reset your password',
    lines: [
      `Hello ${username},`,
      'Please use this code to set a new password. It is valid for 10 minutes and works once:',
      code,
      'If you did not ask for this, please ignore this mail. Your password stays as it is.',
    ],
  }),
  'low-quota': ({ username, bundle = '', since }) => ({
    subject: `Less than 10 % of your ${bundle} bundle ${since === 'refilled' ? 'was' : 'is'} left`,
    lines: [`Hello ${username},`, ...LOW_QUOTA[since ?? 'low'](bundle)],
  }),
  renewed: ({ username, bundle = '', amountCents = 0, currency }) => ({
    subject: `We renewed your ${bundle} bundle`,
    lines: [
      `Hello ${username},`,
      `We renewed your ${bundle} bundle for ${priceText(amountCents, currency)}.`,
      'You will find the invoice and receipt in your account.',
    ],
  }),
  'renewal-declined': ({ username, bundle = '', amountCents = 0, currency }) => ({
    subject: `We could not renew your ${bundle} bundle`,
    lines: [
      `Hello ${username},`,
      `We tried to renew your ${bundle} bundle for ${priceText(amountCents, currency)}, but your card was declined. Nothing was charged.`,
      'We will try again in 1, 3 and 7 hours. If your bank refuses for good, auto-renewal pauses until you add another card.',
    ],
  }),
  'renewal-bundle-removed': ({ username, bundle = '' }) => ({
    subject: `We no longer sell the ${bundle} bundle`,
    lines: [
      `Hello ${username},`,
      `We no longer sell the ${bundle} bundle, so we did not renew it and charged nothing. Your units stay yours.`,
      'Please choose another bundle to get more units. Auto-renewal then goes on with that bundle.',
    ],
  }),
  'renewal-action': ({ username, bundle = '', amountCents = 0, currency, purchaseId = '', appUrl = '' }) => ({
    subject: `Please confirm the renewal of your ${bundle} bundle`,
    lines: [
      `Hello ${username},`,
      `Your bank asks you to confirm the payment of ${priceText(amountCents, currency)} for the renewal of your ${bundle} bundle. Please finish it here within 24 hours:`,
      `${appUrl}/renewal/${purchaseId}`,
      'Nothing is charged until then.',
    ],
  }),
} satisfies Record<string, Template>

export type MailTemplate = keyof typeof templates

export const mailTemplates = Object.keys(templates) as [MailTemplate, ...MailTemplate[]]

/** The mail as plain text, and as simple HTML with the same words. */
export function renderMail(to: string, template: MailTemplate, values: MailValues): Email {
  const { subject, lines } = templates[template](values)
  const paragraphs = lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('')
  return {
    to,
    subject,
    text: `${lines.join('\n\n')}\n`,
    html: `<!doctype html><html lang="en"><body>${paragraphs}</body></html>`,
  }
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
