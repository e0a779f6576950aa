import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { basename, extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { buildPages } from '../../functions/deploy/build-pages.ts'
import { cachingOf, fileOf, isApiPath, pageHeaders, typeOf } from '../../functions/pages/site.ts'

/** Answers a request of a page or of one of its files; false for a path of the API. */
export type PageServer = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>

/** Where the local stack serves its double of Stripe.js. */
export const STRIPE_DOUBLE_JS = '/_local/stripe.js'

/** Where the local stack serves the API's document for trying it. */
const INTERACTIVE = '/_local/reference'

/** What only the local stack has: the studio as first page, the double of Stripe.js, the reference for trying it. */
async function buildLocal(): Promise<Map<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: ['stripe.ts', 'studio.tsx', 'reference.ts'].map((file) =>
      join(import.meta.dirname, 'browser', file),
    ),
    outdir: '/_local',
    bundle: true,
    format: 'iife',
    write: false,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: {},
    logLevel: 'warning',
  })
  const swagger = (name: string) =>
    readFileSync(createRequire(import.meta.url).resolve(`swagger-ui-dist/${name}`))
  return new Map<string, Uint8Array>([
    ...outputFiles.map(({ path, contents }) => [`/_local/${basename(path)}`, contents] as const),
    ['/_local/swagger-ui.js', swagger('swagger-ui-bundle.js')],
    ['/_local/swagger-ui.css', swagger('swagger-ui.css')],
    ['/', page('Bursar on this machine', ['/_local/studio.js'], '/_local/studio.css')],
    [
      INTERACTIVE,
      page('API reference', ['/_local/swagger-ui.js', '/_local/reference.js'], '/_local/swagger-ui.css'),
    ],
  ])
}

const page = (title: string, scripts: readonly string[], style: string) =>
  new TextEncoder().encode(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${style}">
${scripts.map((src) => `<script defer src="${src}"></script>`).join('\n')}
</head>
<body><div id="app"></div></body>
</html>
`)

export interface PageOptions {
  /** The address of Stripe.js or of its double. */
  stripeJs: string
  /** The address of the double of Turnstile's script, where it is in use. */
  challengeJs?: string | undefined
  /** Whether each load of a page builds the pages again, for someone who changes them. */
  rebuilds: boolean
}

/**
 * Serves the pages as the CDN of a deployment does, with the same rules and headers, and the pages that only the local
 * stack has.
 */
export function servePages({ stripeJs, challengeJs, rebuilds }: PageOptions): PageServer {
  /** Files of earlier builds stay, for pages that were loaded before. */
  const files = new Map<string, Uint8Array>()
  let building: Promise<void> | undefined

  async function buildAll(): Promise<void> {
    const [own, { files: built }] = await Promise.all([
      buildLocal(),
      buildPages({ stripeJs, challengeJs, interactive: INTERACTIVE }),
    ])
    for (const [path, contents] of [...built, ...own]) files.set(path, contents)
  }

  return async ({ method, url = '/', headers }, response) => {
    const path = URL.canParse(url, 'http://local') ? new URL(url, 'http://local').pathname : '/'
    if ((method !== 'GET' && method !== 'HEAD') || isApiPath(path)) return false
    const isLocal = path === '/' || path.startsWith('/_local')
    const file = isLocal ? path : fileOf(path)
    const isPage = isLocal ? extname(path) === '' : file.endsWith('.html')
    if (!building || (rebuilds && isPage)) building = buildAll()
    await building
    const contents = files.get(file)
    if (!contents) return false
    for (const [name, value] of Object.entries(headersOf(path, { stripeJs, challengeJs })))
      response.setHeader(name, value)
    response.setHeader('cache-control', isLocal ? 'no-cache' : cachingOf(file))
    response.setHeader('content-type', typeOf(isPage ? '.html' : file))
    response.setHeader('vary', 'Accept-Encoding')
    const zips = /\bgzip\b/.test(String(headers['accept-encoding']))
    if (zips) response.setHeader('content-encoding', 'gzip')
    response.end(method === 'HEAD' ? undefined : zips ? gzipSync(contents) : contents)
    return true
  }
}

function headersOf(
  path: string,
  scripts: Pick<PageOptions, 'stripeJs' | 'challengeJs'>,
): Record<string, string> {
  // The local stack has no TLS, and a browser would not forget that it should have.
  const { 'strict-transport-security': _, ...headers } = pageHeaders(scripts)
  const policy = headers['content-security-policy'] ?? ''
  // Swagger UI writes styles into its elements.
  const loosened = policy.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
  return path === INTERACTIVE ? { ...headers, 'content-security-policy': loosened } : headers
}
