import type { Email } from '../ports.ts'
import { priceText, unitsText } from './amounts.ts'
import type { KeyUse } from './key-use.ts'
import { RENEWAL_LINK_DAYS } from './renewal-link.ts'
import { type RenewalNews, renewalText } from './renewal-texts.ts'
import { type SecurityEvent, securityTexts } from './security-texts.ts'

/** All that a mail can show. A template gets no other data. */
export interface MailValues {
  username: string
  /** A change of who gets into the account, only in mails about one. */
  event?: SecurityEvent | undefined
  /** When it happened, epoch ms. */
  atMs?: number | undefined
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
  /** A change of auto-renewal, only in mails about one. */
  news?: RenewalNews | undefined
  /** What renewals have charged in a month, only in mails about a renewal that charged or may charge. */
  renewed?: { month: string; cents: number; count: number } | undefined
  /** Units used in that month by application key, most first. */
  keyUse?: readonly KeyUse[] | undefined
  /** Codes of the links that stop auto-renewal or, after a hold, allow more renewals. */
  stopCode?: string | undefined
  allowCode?: string | undefined
  /** The team's own frontend, from the deployment's settings. Links must not depend on request headers. */
  appUrl?: string | undefined
}

/** What a low-quota mail says, by what is true when it is written. */
const LOW_QUOTA: Record<'low' | NonNullable<MailValues['since']>, (bundle: string) => string[]> = {
  low: (bundle) => [
    `Less than 10 % of your ${bundle} bundle is left.`,
    'If auto-renewal is on, we will renew it when it runs low, by default below 1 %. You can also refill it at any time.',
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

/** Stands for the news in a preview of the mail without values. */
const NO_NEWS: RenewalNews = { state: 'on', reason: '', bundle: '' }

/** The rest of a mail about a decline: a pause says why; a retry says when. */
function newsLines(news: RenewalNews): string[] {
  const { happened, next } = renewalText(news)
  return [news.state === 'paused' ? happened : 'Nothing was charged.', next]
}

/**
 * The end of each mail about a renewal that charged or may charge: what renewals charged in the month, what
 * used the units, and the links that stop renewals or allow more of them. Empty for other mails.
 */
function renewalLines({ renewed, keyUse = [], stopCode, allowCode, appUrl = '' }: MailValues): string[] {
  if (!renewed) return []
  const { month, cents, count } = renewed
  const times = count === 1 ? '1 renewal' : `${count} renewals`
  return [
    count === 0
      ? `Auto-renewal has charged nothing in ${month}.`
      : `Charged by auto-renewal in ${month}: ${priceText(cents)} for ${times}.`,
    ...(keyUse.length > 0 ? [`Units used in ${month}, by application key: ${keyUseText(keyUse)}.`] : []),
    ...(allowCode === undefined
      ? []
      : ['To allow as many renewals again at once, open this link:', `${appUrl}/renewal/allow/${allowCode}`]),
    ...(stopCode === undefined
      ? []
      : [
          `To stop auto-renewal, open this link. It works without signing in, for ${RENEWAL_LINK_DAYS} days:`,
          `${appUrl}/renewal/stop/${stopCode}`,
        ]),
  ]
}

const keyUseText = (keyUse: readonly KeyUse[]): string =>
  keyUse.map(({ name, units }) => `${name ?? 'deleted keys'} ${unitsText(units)}`).join('; ')

/** The minute of an event, such as 2026-11-21 18:30 UTC. */
const timeText = (atMs: number): string =>
  `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`

const amountText = ({ amountCents = 0, currency }: MailValues): string => priceText(amountCents, currency)

/** Every mail that Bursar sends. */
const templates = {
  'confirm-email': ({ username, code = '' }) => ({
    subject: 'Confirm your e-mail address',
    lines: [
      `Hello ${username},`,
      'Please use this code to confirm your e-mail address. It is valid for 24 hours:',
      code,
      'If you did not register, please ignore this mail. Without the code the registration is deleted after 7 days.',
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
  'email-is-changing': ({ username }) => {
    const { subject, happened, next } = securityTexts['address-is-changing']
    return { subject, lines: [`Hello ${username},`, happened, next] }
  },
  'reset-password': ({ username, code = '' }) => ({
    subject: 'Reset your password',
    lines: [
      `Hello ${username},`,
      'Please use this code to set a new password. It is valid for 10 minutes and works once:',
      code,
      'If you did not ask for this, please ignore this mail. Your password stays as it is.',
    ],
  }),
  'low-quota': (values) => ({
    subject: `Less than 10 % of your ${values.bundle ?? ''} bundle ${values.since === 'refilled' ? 'was' : 'is'} left`,
    lines: [
      `Hello ${values.username},`,
      ...LOW_QUOTA[values.since ?? 'low'](values.bundle ?? ''),
      ...renewalLines(values),
    ],
  }),
  renewed: (values) => ({
    subject: `We renewed your ${values.bundle ?? ''} bundle`,
    lines: [
      `Hello ${values.username},`,
      `We renewed your ${values.bundle ?? ''} bundle for ${amountText(values)}.`,
      ...(values.news ? [renewalText(values.news).happened] : []),
      'You will find the invoice and receipt in your account.',
      ...renewalLines(values),
    ],
  }),
  'renewal-declined': (values) => ({
    subject: `We could not renew your ${values.bundle ?? ''} bundle`,
    lines: [
      `Hello ${values.username},`,
      `We tried to renew your ${values.bundle ?? ''} bundle for ${amountText(values)}, but your card was declined.`,
      ...(values.news ? newsLines(values.news) : []),
      ...renewalLines(values),
    ],
  }),
  'renewal-action': (values) => ({
    subject: `Please confirm the renewal of your ${values.bundle ?? ''} bundle`,
    lines: [
      `Hello ${values.username},`,
      `Your bank asks you to confirm the payment of ${amountText(values)} for the renewal of your ${values.bundle ?? ''} bundle. Please finish it here within 24 hours:`,
      `${values.appUrl ?? ''}/renewal/${values.purchaseId ?? ''}`,
      'Nothing is charged until then.',
      ...renewalLines(values),
    ],
  }),
  'renewal-state': (values) => {
    const { news = NO_NEWS } = values
    const { subject, happened, next } = renewalText(news)
    return { subject, lines: [`Hello ${values.username},`, happened, next, ...renewalLines(values)] }
  },
  security: ({ username, event = 'new-sign-in', atMs = 0, appUrl = '' }) => {
    const { subject, happened, next } = securityTexts[event]
    const lines = [happened, `Time: ${timeText(atMs)}.`, next, 'You reach your account and us here:', appUrl]
    return { subject, lines: [`Hello ${username},`, ...lines] }
  },
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
