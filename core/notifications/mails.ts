import type { Email } from '../ports.ts'
import { DEFAULT_LOW_PERCENT } from '../quota/thresholds.ts'
import { type AlertNews, alertText } from './alert-text.ts'
import { priceText, unitsText } from './amounts.ts'
import { quotedText, unlinkedText } from './free-text.ts'
import type { KeyUse } from './key-use.ts'
import { type RecoveryNews, recoveryText, timeText } from './recovery-texts.ts'
import { RENEWAL_LINK_DAYS } from './renewal-link.ts'
import { type RenewalNews, renewalText } from './renewal-texts.ts'
import { type SecurityEvent, securityTexts } from './security-texts.ts'

/** All that a mail can show. A template gets no other data. */
export interface MailValues {
  username: string
  /** A change of who gets into the account, only in mails about one. */
  event?: SecurityEvent | undefined
  /** Only in mails with a reset code: whether the new password makes a deactivated account active again. */
  restores?: boolean | undefined
  /** Only in invitations: whether the password of before works, too. */
  keepsPassword?: boolean | undefined
  /** A recovery that is open, only in mails about one. */
  recovery?: RecoveryNews | undefined
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
  /** Low quota: below how many per cent the units fell; 10 if absent. */
  lowPercent?: number | undefined
  /** A crossed alert, only in mails about one. */
  alert?: AlertNews | undefined
  purchaseId?: string | undefined
  /** A change of auto-renewal, only in mails about one. */
  news?: RenewalNews | undefined
  /** What renewals have charged in a month, only in mails about a renewal that charged or may charge. */
  renewed?: { month: string; cents: number; count: number } | undefined
  /** Units used in that month by application key, most first. */
  keyUse?: readonly KeyUse[] | undefined
  /** Codes of the links that stop auto-renewal or a recovery or, after a hold, allow more renewals. */
  stopCode?: string | undefined
  allowCode?: string | undefined
  /** The team's own frontend, from the deployment's settings. Links must not depend on request headers. */
  appUrl?: string | undefined
  /** What customers know the deployment as, which signs every mail. */
  appName?: string | undefined
}

/** What a low-quota mail says, by what is true when it is written. */
const LOW_QUOTA: Record<
  'low' | NonNullable<MailValues['since']>,
  (bundle: string, percent: number) => string[]
> = {
  low: (bundle, percent) => [
    `Less than ${percent} % of your ${bundle} bundle is left.`,
    'If auto-renewal is on, we will renew it when it runs low. You can also refill it at any time.',
  ],
  removed: (bundle, percent) => [
    `Less than ${percent} % of your ${bundle} bundle is left.`,
    'We no longer sell this bundle, so it can be neither renewed nor refilled. Please choose another bundle to get more units.',
  ],
  refilled: (_, percent) => [
    `Your units had fallen below ${percent} % of your bundle. More have been added since, so you need not do anything.`,
  ],
}

interface Content {
  subject: string
  lines: string[]
}

/** Greets by the username only if it is a word: one with dots would become a link in most mail clients. */
const greeting = (username: string): string =>
  unlinkedText(username) === username ? `Hello ${username},` : 'Hello,'

/** Stands for the news in a preview of the mail without values. */
const NO_NEWS: RenewalNews = { state: 'on', reason: '', bundle: '' }

/** Stands for the alert in a preview of the mail without values. */
const NO_ALERT: AlertNews = { below: 0, threshold: 0, left: 0, atMs: 0 }

/** Stands for the recovery in a preview of the mail without values. */
const NO_RECOVERY: RecoveryNews = { state: 'begun', beganAtMs: 0, finishesAtMs: 0, endsAtMs: 0 }

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
  keyUse
    .map(({ name, units }) => `${name === undefined ? 'deleted keys' : quotedText(name)} ${unitsText(units)}`)
    .join('; ')

const amountText = ({ amountCents = 0, currency }: MailValues): string => priceText(amountCents, currency)

/**
 * Mails that may reach an address which nobody has proved, because anybody can cause them. They see nothing that a
 * person wrote, so no stranger's words reach anybody from our domain.
 */
const toAnyone = {
  'confirm-email': ({ code = '' }) => ({
    subject: 'Confirm your e-mail address',
    lines: [
      'Hello,',
      'Please use this code to confirm your e-mail address. It is valid for 24 hours:',
      code,
      'If you did not register, please ignore this mail. Without the code the registration is deleted after 7 days.',
    ],
  }),
  'change-email': ({ code = '' }) => ({
    subject: 'Confirm your new e-mail address',
    lines: [
      'Hello,',
      'Please use this code to confirm your new e-mail address. It is valid for 24 hours:',
      code,
      'Your account keeps its old address until then. If you did not ask for this, please ignore this mail.',
    ],
  }),
  'reset-password': ({ code = '', restores }) => ({
    subject: 'Reset your password',
    lines: [
      'Hello,',
      'Please use this code to set a new password. It is valid for 10 minutes and works once:',
      code,
      'If the code has expired, please ask again. If no other mail arrives within two minutes, then the code in our newest mail is valid again.',
      ...(restores
        ? ['Your account is deactivated. Setting a new password makes it active again, with all its units.']
        : []),
      'If you did not ask for this, please ignore this mail. Your password stays as it is.',
    ],
  }),
  'begin-recovery': ({ code = '' }) => ({
    subject: 'Recover your account',
    lines: [
      'Hello,',
      'Please use this code if you have lost your authenticator app and your recovery codes. It is valid for 10 minutes:',
      code,
      'The recovery takes 72 hours, in which we will mail you every day. If you did not ask for this, please ignore this mail. Nothing has changed.',
    ],
  }),
  'finish-recovery': ({ code = '' }) => ({
    subject: 'Finish the recovery of your account',
    lines: [
      'Hello,',
      'Please use this code to set a new password and to switch two-factor authentication off. It is valid for 10 minutes and works once:',
      code,
      'If you did not ask for this, someone can read your mail: please sign in with a two-factor code or a passkey, which stops the recovery, and change the password of your mailbox.',
    ],
  }),
} satisfies Record<string, (values: Pick<MailValues, 'code' | 'appUrl' | 'restores'>) => Content>

/** Mails to addresses that their owner has proved, or the operator for them. */
const toConfirmed = {
  invitation: ({ username, code = '', keepsPassword, appUrl = '', appName = '' }) => ({
    subject: `Your account at ${appName} is ready`,
    lines: [
      greeting(username),
      'We have moved your account to our new system, with everything that is yours. Please choose a password with this link. It is valid for 7 days and works once:',
      `${appUrl}/invitation/${code}`,
      ...(keepsPassword ? ['You can also sign in with the password that you have always used.'] : []),
      'If the link has expired, please ask for a new password with this e-mail address on the sign-in page.',
    ],
  }),
  'email-is-changing': ({ username }) => {
    const { subject, happened, next } = securityTexts['address-is-changing']
    return { subject, lines: [greeting(username), happened, next] }
  },
  recovery: ({ username, recovery = NO_RECOVERY, stopCode, appUrl = '' }) => {
    const { subject, happened, next, stop } = recoveryText(recovery)
    const link =
      stopCode === undefined
        ? []
        : ['This link stops it without signing in:', `${appUrl}/recovery/stop/${stopCode}`]
    return { subject, lines: [greeting(username), happened, next, stop, ...link] }
  },
  'low-quota': (values) => ({
    subject: `Less than ${values.lowPercent ?? DEFAULT_LOW_PERCENT} % of your ${values.bundle ?? ''} bundle ${values.since === 'refilled' ? 'was' : 'is'} left`,
    lines: [
      greeting(values.username),
      ...LOW_QUOTA[values.since ?? 'low'](values.bundle ?? '', values.lowPercent ?? DEFAULT_LOW_PERCENT),
      ...renewalLines(values),
    ],
  }),
  'quota-alert': ({ username, alert = NO_ALERT }) => {
    const { subject, happened, next } = alertText(alert)
    return { subject, lines: [greeting(username), happened, next] }
  },
  renewed: (values) => ({
    subject: `We renewed your ${values.bundle ?? ''} bundle`,
    lines: [
      greeting(values.username),
      `We renewed your ${values.bundle ?? ''} bundle for ${amountText(values)}.`,
      ...(values.news ? [renewalText(values.news).happened] : []),
      'You will find the invoice and receipt in your account.',
      ...renewalLines(values),
    ],
  }),
  'renewal-declined': (values) => ({
    subject: `We could not renew your ${values.bundle ?? ''} bundle`,
    lines: [
      greeting(values.username),
      `We tried to renew your ${values.bundle ?? ''} bundle for ${amountText(values)}, but your card was declined.`,
      ...(values.news ? newsLines(values.news) : []),
      ...renewalLines(values),
    ],
  }),
  'renewal-action': (values) => ({
    subject: `Please confirm the renewal of your ${values.bundle ?? ''} bundle`,
    lines: [
      greeting(values.username),
      `Your bank asks you to confirm the payment of ${amountText(values)} for the renewal of your ${values.bundle ?? ''} bundle. Please finish it here within 24 hours:`,
      `${values.appUrl ?? ''}/renewal/${values.purchaseId ?? ''}`,
      'Nothing is charged until then.',
      ...renewalLines(values),
    ],
  }),
  'renewal-state': (values) => {
    const { news = NO_NEWS } = values
    const { subject, happened, next } = renewalText(news)
    return { subject, lines: [greeting(values.username), happened, next, ...renewalLines(values)] }
  },
  security: ({ username, event = 'new-sign-in', atMs = 0, appUrl = '' }) => {
    const { subject, happened, next } = securityTexts[event]
    const lines = [happened, `Time: ${timeText(atMs)}.`, next, 'You reach your account and us here:', appUrl]
    return { subject, lines: [greeting(username), ...lines] }
  },
} satisfies Record<string, (values: MailValues) => Content>

const templates: Record<MailTemplate, (values: MailValues) => Content> = { ...toAnyone, ...toConfirmed }

export type MailTemplate = keyof typeof toAnyone | keyof typeof toConfirmed

/** Whether the mail may reach an address that nobody has proved. */
export const isForAnyone = (template: MailTemplate): boolean => Object.hasOwn(toAnyone, template)

export const mailTemplates = Object.keys(templates) as [MailTemplate, ...MailTemplate[]]

/** The mail as plain text, and as simple HTML with the same words. The only links are ours. */
export function renderMail(to: string, template: MailTemplate, values: MailValues): Email {
  const { subject, lines: body } = templates[template](values)
  const lines = [...body, ...(values.appName === undefined ? [] : [values.appName])]
  const paragraphs = lines.map((line) => `<p>${paragraphHtml(line, values.appUrl)}</p>`).join('')
  return {
    to,
    subject,
    text: `${lines.join('\n\n')}\n`,
    html: `<!doctype html><html lang="en"><head>${NO_DETECTION}</head><body>${paragraphs}</body></html>`,
  }
}

/** Keeps mail clients from making links of what looks like a number, a date or an address. */
const NO_DETECTION =
  '<meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no">'

function paragraphHtml(line: string, appUrl = ''): string {
  const text = escapeHtml(line)
  const isOwnLink = appUrl !== '' && (line === appUrl || line.startsWith(`${appUrl}/`))
  return isOwnLink ? `<a href="${text}">${text}</a>` : text
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
