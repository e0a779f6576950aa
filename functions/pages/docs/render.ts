import { marked } from 'marked'
import { names } from '../../client/names.ts'
import { bodySample, curlOf, typescriptOf } from './examples.ts'
import { type Fields, fieldsOf, flat, type OpenApi, type Operation, operationsOf } from './openapi.ts'

/** The reference as pages of HTML that need no script, made from the OpenAPI document. */

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const anchorOf = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')

/** Markdown as HTML; each heading has an anchor. */
function html(markdown: string): string {
  const renderer = new marked.Renderer()
  renderer.heading = ({ tokens, depth, text }) =>
    `<h${depth} id="${anchorOf(text)}">${renderer.parser.parseInline(tokens)}</h${depth}>\n`
  renderer.html = ({ text }) => escaped(text)
  return marked.parse(markdown, { renderer, async: false })
}

const code = (text: string, label: string): string =>
  `<figure class="code"><figcaption>${label}</figcaption><pre tabindex="0"><code>${escaped(text)}</code></pre></figure>`

interface Page {
  title: string
  /** The path without `/docs`, such as `/cards`; empty for the first page. */
  path: string
  body: string
}

export interface ReferenceOptions {
  /** The address of the stylesheet. */
  style: string
  /** Where the document is opened for trying it, if there is such a place. */
  interactive?: string | undefined
}

/** Every page by its file in the domain: the introduction, one for each tag, and the error codes. */
export function renderReference(document: OpenApi, options: ReferenceOptions): Map<string, string> {
  const operations = operationsOf(document)
  const tags = document.tags.filter(({ name }) => operations.some(({ tag }) => tag === name))
  const pages: Page[] = [
    { title: 'API reference', path: '', body: introduction(document, operations) },
    ...tags.map(({ name, description }) => ({
      title: name,
      path: `/${anchorOf(name)}`,
      body: [
        `<h1>${escaped(name)}</h1><p>${escaped(description)}</p>`,
        ...operations
          .filter(({ tag }) => tag === name)
          .map((operation) => operationHtml(document, operation)),
      ].join('\n'),
    })),
    { title: 'Errors', path: '/errors', body: errorsHtml(document, operations) },
  ]
  const links = pages.map(({ title, path }) => ({ title, href: `/docs${path}` }))
  return new Map(
    pages.map((page) => [
      page.path === '' ? '/docs/index.html' : `/docs${page.path}.html`,
      pageHtml(page, links, options),
    ]),
  )
}

function pageHtml(
  { title, path, body }: Page,
  links: readonly { title: string; href: string }[],
  { style, interactive }: ReferenceOptions,
): string {
  const here = `/docs${path}`
  const items = links.map(
    (link) =>
      `<li><a href="${link.href}"${link.href === here ? ' aria-current="page"' : ''}>${escaped(link.title)}</a></li>`,
  )
  const further = [
    '<li><a href="/openapi.json">openapi.json</a></li>',
    ...(interactive ? [`<li><a href="${interactive}">Try it out</a></li>`] : []),
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${style}">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="bar"><a class="name" href="/docs">API reference</a></header>
<div class="frame">
<nav class="side" aria-label="Contents"><ul>${[...items, ...further].join('')}</ul></nav>
<main id="main" class="reference">
${body}
</main>
</div>
</body>
</html>
`
}

function introduction({ info, tags }: OpenApi, operations: readonly Operation[]): string {
  const lists = tags.map(({ name }) => {
    const own = operations.filter(({ tag }) => tag === name)
    const items = own.map(
      ({ id, method, path, summary }) =>
        `<li><a href="/docs/${anchorOf(name)}#${id}"><code>${method} ${escaped(path)}</code></a> <small>${escaped(summary)}</small></li>`,
    )
    return own.length === 0
      ? ''
      : `<section class="card"><h2>${escaped(name)}</h2><ul class="endpoints">${items.join('')}</ul></section>`
  })
  return `<h1>API reference</h1>
<p>Version ${escaped(info.version)}. Every error is explained under <a href="/docs/errors">Errors</a>, and the <a href="#rules">rules</a> for all endpoints are below.</p>
<div class="tiles">${lists.join('\n')}</div>
<h2 id="rules">Rules</h2>
${html(info.description)}`
}

function operationHtml(document: OpenApi, operation: Operation): string {
  const { id, method, path, summary, description, errors, parameters, body, answers, deprecated, needs } =
    operation
  const name = Object.entries(names).find(([, row]) => row === id)?.[0]
  const sample = bodySample(document, body)
  return `<section class="card operation" id="${id}">
<header><h2><a href="#${id}">${escaped(summary)}</a></h2>${deprecated ? '<span class="tag warn">Alias</span>' : ''}</header>
<p><code class="route"><b>${method}</b> ${escaped(path)}</code> <small>${escaped(needs)}</small></p>
${html(description)}
${parameters.length > 0 ? `<h3>Parameters</h3>${listHtml(parameters)}` : ''}
${body ? `<h3>Body</h3>${listHtml(fieldsOf(document, body))}` : ''}
${answers.map(({ status, schema }) => `<h3>Answer ${status}</h3>${schema ? listHtml(fieldsOf(document, schema)) : '<p>No body.</p>'}`).join('')}
${errors.length > 0 ? `<h3>Errors</h3><p>${errors.map((one) => `<a href="/docs/errors#${one}"><code>${one}</code></a>`).join(', ')}</p>` : ''}
${code(curlOf(operation, sample), 'curl')}
${name ? code(typescriptOf(operation, name, sample), 'TypeScript') : ''}
</section>`
}

/** Fields as nested lists. What is inside of a field is folded away. */
function listHtml(fields: Fields): string {
  const items = fields.map(({ name, type, required, description, inner }) => {
    const head = `<code>${escaped(name)}</code> <small>${escaped(type)}${required ? ', required' : ''}</small>${description ? ` <span>${escaped(description)}</span>` : ''}`
    return inner.length === 0
      ? `<li>${head}</li>`
      : `<li><details><summary>${head}</summary>${listHtml(inner)}</details></li>`
  })
  return `<ul class="fields">${items.join('')}</ul>`
}

function errorsHtml(document: OpenApi, operations: readonly Operation[]): string {
  const codes = [...new Set(operations.flatMap(({ errors }) => errors))].sort()
  const sections = codes.map((one) => {
    const users = operations.filter(({ errors }) => errors.includes(one))
    const { title, status, detail } = problemOf(document, one)
    const links = users.map(
      ({ id, tag, method, path }) =>
        `<a href="/docs/${anchorOf(tag)}#${id}"><code>${method} ${escaped(path)}</code></a>`,
    )
    return `<section class="card" id="${one}">
<header><h2><a href="#${one}"><code>${one}</code></a></h2><span class="tag">${status}</span></header>
<p><b>${escaped(title)}.</b> ${escaped(detail)}</p>
<details><summary>${users.length === 1 ? '1 endpoint' : `${users.length} endpoints`}</summary><p>${links.join('<br>')}</p></details>
</section>`
  })
  return `<h1>Errors</h1>
<p>Decide by the code, which is the end of <code>type</code>; show <code>detail</code> to people.</p>
${sections.join('\n')}`
}

/** Title, status and explanation of a code, from the schema of its problem. */
function problemOf(document: OpenApi, one: string) {
  const schema = Object.values(document.components.schemas).find(
    (known) => flat(document, known).properties?.type?.const === `urn:bursar:problem:${one}`,
  )
  const { properties } = flat(document, schema)
  const text = (name: string) => String(properties?.[name]?.const ?? '')
  return { title: text('title') || one, status: text('status'), detail: schema?.description ?? '' }
}
