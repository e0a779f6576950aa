import type { Email } from '../ports.ts'

/** Every mail that Bursar sends, by template; the values are all that a template may show. */
export interface MailValues {
  'confirm-email': { username: string; code: string }
}

export type MailTemplate = keyof MailValues

type Body = { subject: string; lines: string[] }

const templates: { [T in MailTemplate]: (values: MailValues[T]) => Body } = {
  'confirm-email': ({ username, code }) => ({
    subject: 'Confirm your e-mail address',
    lines: [
      `Hello ${username},`,
      'use this code to confirm your e-mail address. It is valid for 24 hours:',
      code,
      'If you did not register, ignore this mail: nothing happens without the code.',
    ],
  }),
}

/** The mail as plain text and as the simplest HTML that says the same. */
export function renderMail<T extends MailTemplate>(to: string, template: T, values: MailValues[T]): Email {
  const { subject, lines } = templates[template](values)
  return {
    to,
    subject,
    text: `${lines.join('\n\n')}\n`,
    html: `<!doctype html><html lang="en"><body>${lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('')}</body></html>`,
  }
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
