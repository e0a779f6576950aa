import type { Email } from '../ports.ts'

/** What a mail may show: nothing else reaches a template. */
export interface MailValues {
  username: string
  /** The whole code, in the mails that carry one. */
  code?: string | undefined
}

type Template = (values: MailValues) => { subject: string; lines: string[] }

/** Every mail that Bursar sends. None names a host: a link could be forged through a request's headers. */
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
