import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type BuildOptions, build, type Metafile } from 'esbuild'
import type { OpenApi } from '../pages/docs/openapi.ts'
import { renderReference } from '../pages/docs/render.ts'
import { STRIPE_JS } from '../pages/site.ts'
import { EDGE_FUNCTION, FILES_FOLDER, PAGES_FOLDER } from './site.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** Each site by its entry, the path of its page, and what the page says before its script has run. */
const sites = [
  { entry: 'functions/pages/portal/main.tsx', page: '/index.html', title: 'Your account' },
  { entry: 'functions/pages/console/main.tsx', page: '/console/index.html', title: 'Operators' },
].filter(({ entry }) => existsSync(join(ROOT, entry)))

const DOCS_STYLE = 'functions/pages/docs/docs.css'

const options: BuildOptions = {
  absWorkingDir: ROOT,
  entryPoints: [
    ...sites.map(({ entry }) => ({ in: entry, out: basename(dirname(entry)) })),
    { in: DOCS_STYLE, out: 'docs' },
  ],
  outdir: '/assets',
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  publicPath: '/assets',
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  metafile: true,
  write: false,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  // All that esbuild would read of the compiler's settings is said here.
  tsconfigRaw: {},
  alias: { 'bursar/client': './functions/client/client.ts' },
  logLevel: 'warning',
}

export interface Pages {
  /** The contents of each file by its path in the domain. */
  files: ReadonlyMap<string, Uint8Array>
  /** What esbuild knows of the scripts, by their paths without the first slash. */
  outputs: Metafile['outputs']
}

export interface PagesOptions {
  /** The address of Stripe.js; Stripe's own by default. */
  stripeJs?: string
  /** The address of Turnstile's script; Cloudflare's own by default. */
  challengeJs?: string | undefined
  /** Where the API's document is opened for trying it, which only the local stack has. */
  interactive?: string
}

/** Builds portal, console and reference into files for any static host. */
export async function buildPages({
  stripeJs = STRIPE_JS,
  challengeJs,
  interactive,
}: PagesOptions = {}): Promise<Pages> {
  const { outputFiles = [], metafile } = await build(options)
  const outputs = Object.fromEntries(
    Object.entries(metafile?.outputs ?? {}).map(([path, output]) => [
      path.replace(/^.*?assets\//, 'assets/'),
      output,
    ]),
  )
  const files = new Map(outputFiles.map(({ path, contents }) => [path, contents]))
  for (const { entry, page, title } of sites) {
    const [script = '', { cssBundle = '' } = {}] =
      Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === entry) ?? []
    const html = htmlOf({
      title,
      stripeJs,
      challengeJs,
      script: `/${script}`,
      style: `/assets/${basename(cssBundle)}`,
      parts: importedBy(outputs, script),
    })
    files.set(page, new TextEncoder().encode(html))
  }
  const [style = ''] = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === DOCS_STYLE) ?? []
  const document = JSON.parse(readFileSync(join(ROOT, 'functions', 'openapi.json'), 'utf8')) as OpenApi
  for (const [path, html] of renderReference(document, { style: `/${style}`, interactive })) {
    files.set(path, new TextEncoder().encode(html))
  }
  return { files, outputs }
}

/** The scripts that a script imports at once, directly or through others. */
function importedBy(outputs: Metafile['outputs'], script: string): string[] {
  const found = new Set<string>()
  const visit = (path: string) => {
    for (const { path: next, kind } of outputs[path]?.imports ?? []) {
      const part = next.replace(/^.*?assets\//, 'assets/')
      if (kind !== 'import-statement' || found.has(part)) continue
      found.add(part)
      visit(part)
    }
  }
  visit(script)
  return [...found]
}

interface Html {
  title: string
  stripeJs: string
  challengeJs: string | undefined
  script: string
  style: string
  /** What the script imports: the browser fetches it at the same time, not once it has read the script. */
  parts: readonly string[]
}

/**
 * The page before its script has run, which shows at once that it is coming. Nothing in it is inline, so that the policy
 * can forbid that.
 */
const htmlOf = ({ title, stripeJs, challengeJs, script, style, parts }: Html) =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="stripe-js" content="${stripeJs}">${challengeJs ? `\n<meta name="challenge-js" content="${challengeJs}">` : ''}
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${style}">
<script type="module" src="${script}"></script>
${parts.map((part) => `<link rel="modulepreload" href="/${part}">`).join('\n')}
</head>
<body>
<div id="app"><main class="narrow"><p class="loading"><span class="spinner"></span> …</p></main></div>
<noscript>This page needs JavaScript.</noscript>
</body>
</html>
`

/**
 * Builds the function that CloudFront runs for each request of a page. Its runtime knows no modules and looks for a
 * function called `handler`, so the `export` at the end is cut off.
 * https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html
 */
export async function buildEdgeFunction(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['functions/pages/edge.ts'],
    bundle: true,
    format: 'esm',
    // The runtime knows `const`, arrows and templates, and neither destructuring nor spreading.
    target: 'es2015',
    charset: 'ascii',
    write: false,
    logLevel: 'warning',
  })
  return (outputFiles[0]?.text ?? '').replace(/export \{[^}]*\};?\s*$/, '')
}

/** Writes the pages and CloudFront's function to the folder that the deployment reads. */
export async function writePages(root = ROOT): Promise<void> {
  const folder = join(root, FILES_FOLDER)
  await rm(join(root, PAGES_FOLDER), { recursive: true, force: true })
  const { files } = await buildPages()
  for (const [path, contents] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), contents)
  }
  await writeFile(join(root, EDGE_FUNCTION), await buildEdgeFunction())
}

if (import.meta.filename === process.argv[1]) await writePages()
