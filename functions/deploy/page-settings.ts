import { mailAddress } from '../../core/notifications/sender.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** What pages show of a deployment: how they look, and where they lead. */
export interface PageSettings {
  supportEmail: string
  color?: string
  logoUrl?: string
  termsUrl?: string
  privacyUrl?: string
  challengeKey?: string
}

const LINKS = { logoUrl: 'APP_LOGO_URL', termsUrl: 'TERMS_URL', privacyUrl: 'PRIVACY_URL' } as const

/**
 * Reads the settings for pages, each of which may be left out. Pages put them into HTML and CSS, so their forms are narrow: no character in
 * them can end a text, a `url()` or a declaration.
 * @param sender the address that mails come from, which customers write to unless there is another for support
 * @throws Error with a sentence that says what to set instead
 */
export function pageSettings(env: Environment, sender: string): PageSettings {
  const supportEmail = mailAddress(env.SUPPORT_EMAIL?.trim() || sender)
  if (!supportEmail) {
    throw new Error(
      'SUPPORT_EMAIL has no valid e-mail address. Set one, such as support@your.domain, or unset it.',
    )
  }
  const color = env.APP_COLOR?.trim()
  if (color && !/^#[0-9a-f]{6}$/i.test(color)) {
    throw new Error(
      'APP_COLOR is no colour in six hex digits. Set one such as "#0a5cff", in quotes, or unset it.',
    )
  }
  const links = Object.entries(LINKS).flatMap(([field, name]) => {
    const link = env[name]?.trim()
    return link ? [[field, checkedLink(name, link)]] : []
  })
  const challengeKey = env.TURNSTILE_SITE_KEY?.trim()
  if (challengeKey && !/^[\w-]{10,80}$/.test(challengeKey)) {
    throw new Error(
      'TURNSTILE_SITE_KEY is no site key of Cloudflare Turnstile. Set the one of your widget, or unset it.',
    )
  }
  return {
    supportEmail,
    ...(color && { color: color.toLowerCase() }),
    ...Object.fromEntries(links),
    ...(challengeKey && { challengeKey }),
  }
}

const LINK = /^https:\/\/[a-z0-9.-]+(:\d+)?(\/[\w.~%/+@:,-]*)?(\?[\w.~%/+@:,&=-]*)?(#[\w.~%/+@:,&=-]*)?$/i

function checkedLink(name: string, link: string): string {
  if (LINK.test(link) && URL.canParse(link)) return link
  throw new Error(
    `${name} must be https://your.domain, with a path or without, in letters, digits and "-._~%/?&=#+@:,". Set such an address, or unset it.`,
  )
}
