import type { Email } from '../ports.ts'
import { priceText } from './price-text.ts'

/** What a mail may show: nothing else reaches a template. */
export interface MailValues {
  username: string
  /** The whole code, in the mails that carry one. */
  code?: string | undefined
  /** Of a mail about a purchase. */
  bundle?: string | undefined
  amountCents?: number | undefined
  purchaseId?: string | undefined
  /** The team's own frontend, from the deployment: a link must not follow a request's headers. */
  appUrl?: string | undefined
}

type Template = (values: MailValues) => { subject: string; lines: string[] }

/** Every mail that Bursar sends. */
const templates = {
  'confirm-email': ({ username, code = '' }) => ({
    subject: 'Confirm your e-mail address',
    lines: [
      `Hello ${username},`,
      'use this code to confirm your e-mail address. It is valid for 24 hours:',
      code,
      'If you did not register, ignore this mail: nothing happens without the code.',
    ],
  }),
  'change-email': ({ username, code = '' }) => ({
    subject: 'Confirm your new e-mail address',
    lines: [
      `Hello ${username},`,
      'use this code to confirm your new e-mail address. It is valid for 24 hours:',
      code,
      'Until then your account keeps its old address.',
    ],
  }),
  'email-is-changing': ({ username }) => ({
    subject: 'Your e-mail address is about to change',
    lines: [
      `Hello ${username},`,
      'somebody who is signed in to your account asked to change its e-mail address. This one stays until the new one is confirmed.',
      'If it was not you, change your password now: that ends every session.',
    ],
  }),
  'reset-password': ({ username, code = '' }) => ({
    subject: 'Reset your password',
    lines: [
      `Hello ${username},`,
      'use this code to set a new password. It is valid for 10 minutes and works once:',
      code,
      'If you did not ask for it, ignore this mail: your password stays as it is.',
    ],
  }),
  'low-quota': ({ username, bundle = '' }) => ({
    subject: `Less than 10 % of your ${bundle} bundle is left`,
    lines: [
      `Hello ${username},`,
      `less than 10 % of your ${bundle} bundle is left.`,
      'With auto-renewal on, it renews itself below 1 %. You can refill it at any time.',
    ],
  }),
  renewed: ({ username, bundle = '', amountCents = 0 }) => ({
    subject: `Your ${bundle} bundle has been renewed`,
    lines: [
      `Hello ${username},`,
      `your ${bundle} bundle has renewed itself for ${priceText(amountCents)}.`,
      'The invoice with its receipt is in your account.',
    ],
  }),
  'renewal-declined': ({ username, bundle = '', amountCents = 0 }) => ({
    subject: `Your ${bundle} bundle could not be renewed`,
    lines: [
      `Hello ${username},`,
      `your card was declined when your ${bundle} bundle was to be renewed for ${priceText(amountCents)}.`,
      'Unless the card cannot work again as it is, it is tried again after 1 hour, 3 hours and 7 hours; then renewal pauses until you change the card.',
    ],
  }),
  'renewal-action': ({ username, bundle = '', amountCents = 0, purchaseId = '', appUrl = '' }) => ({
    subject: `Confirm the renewal of your ${bundle} bundle`,
    lines: [
      `Hello ${username},`,
      `your bank asks you to confirm the payment of ${priceText(amountCents)} that renews your ${bundle} bundle. Finish it here within 24 hours:`,
      `${appUrl}/renewal/${purchaseId}`,
      'Until then nothing is charged.',
    ],
  }),
} satisfies Record<string, Template>

export type MailTemplate = keyof typeof templates

export const mailTemplates = Object.keys(templates) as [MailTemplate, ...MailTemplate[]]

/** The mail as plain text and as the simplest HTML that says the same. */
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
