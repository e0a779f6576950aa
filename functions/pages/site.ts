/**
 * Where each path of the domain leads: to the API or to a page. The deployment and the local stack read the same data,
 * and a test holds that no route of the API is a page's.
 */

/** First segments that the API has. `console` is both: the page itself, and `/console/<role>/…` for its calls. */
export const API_PATHS = [
  '/admin/*',
  '/api/*',
  '/console/*/*',
  '/health',
  '/openapi.json',
  '/ops/*',
  '/rest/*',
  '/v1/*',
  '/webhooks/*',
] as const

const patterns = /* @__PURE__ */ API_PATHS.map(
  (path) => new RegExp(`^${path.replaceAll('.', '\\.').replaceAll('*', '.+')}$`),
)

/** Whether a path is answered by the API. */
export const isApiPath = (path: string): boolean => patterns.some((pattern) => pattern.test(path))

/**
 * The file of a path: the path itself if it has an extension; a file for each page of the reference; and for all paths of
 * the portal or of the console the one page that shows them.
 */
export function fileOf(path: string): string {
  if (/\.\w+$/.test(path)) return path
  const plain = path.replace(/\/+$/, '')
  if (plain === '/docs' || plain === '/console') return `${plain}/index.html`
  if (plain.startsWith('/docs/')) return `${plain}.html`
  return plain.startsWith('/console/') ? '/console/index.html' : '/index.html'
}

export interface Addresses {
  /** The script of Stripe.js, from Stripe or, on the local stack, from its double. */
  stripeJs: string
  /** The origin of the logo, if that is not this one. */
  logo?: string | undefined
  /** The script that shows a challenge, where people are asked for one. */
  challengeJs?: string | undefined
}

/** Where Cloudflare serves the script of Turnstile. */
export const CHALLENGE_JS = 'https://challenges.cloudflare.com/turnstile/v0/api.js'

/** Where Stripe serves the version of Stripe.js that belongs to the API version in use. */
export const STRIPE_JS = 'https://js.stripe.com/endive/stripe.js'

/**
 * The headers of every page. Scripts and styles come from this origin alone, except Stripe.js, which Stripe allows nobody
 * to host; nothing inline runs. https://docs.stripe.com/security/guide#content-security-policy
 */
export function pageHeaders({ stripeJs, logo, challengeJs }: Addresses): Record<string, string> {
  const stripe = stripeJs === STRIPE_JS
  const sources = (...own: (string | false | undefined)[]) => own.filter(Boolean).join(' ')
  const policy = {
    'default-src': "'none'",
    'script-src': sources(
      "'self'",
      stripe && 'https://js.stripe.com https://*.js.stripe.com',
      challengeJs && new URL(challengeJs).origin,
    ),
    'style-src': "'self'",
    'img-src': sources("'self'", 'data:', logo),
    'connect-src': sources("'self'", stripe && 'https://api.stripe.com'),
    'frame-src':
      sources(
        stripe && 'https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com',
        challengeJs && new URL(challengeJs).origin,
      ) || "'none'",
    'manifest-src': "'self'",
    'form-action': "'self'",
    'base-uri': "'none'",
    'frame-ancestors': "'none'",
  }
  return {
    'content-security-policy': Object.entries(policy)
      .map(([name, value]) => `${name} ${value}`)
      .join('; '),
    'cross-origin-opener-policy': 'same-origin-allow-popups',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(self "https://js.stripe.com")',
    'referrer-policy': 'no-referrer',
    'strict-transport-security': 'max-age=63072000; includeSubDomains',
    'x-content-type-options': 'nosniff',
  }
}

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
}

/** The content type of a file, by the end of its name. */
export const typeOf = (file: string): string =>
  TYPES[file.slice(file.lastIndexOf('.') + 1)] ?? 'application/octet-stream'

/** How long a browser keeps a file: assets have their content's hash in their name, pages are asked for each time. */
export const cachingOf = (file: string): string =>
  file.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
