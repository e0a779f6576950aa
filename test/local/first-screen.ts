/** The text that `npm run dev` prints when it is up. It has colours if the terminal supports colours. */
import { styleText } from 'node:util'
import { customerRows } from '../../functions/http/rows.ts'
import { pagesUrl } from './pages-url.ts'
import { walkThrough } from './walk-through.ts'

const heading = (text: string) => styleText('bold', text)
const command = (text: string) => styleText('cyan', text)
const aside = (text: string) => styleText('dim', text)

export const startingLine = (step: string): string => aside(`  starting  ${step}`)

/** Three requests that succeed whenever they are pasted, in the syntax of this platform's default shell. */
function commandsToTry(url: string): string[] {
  if (process.platform === 'win32') {
    const ada = "@{ username = 'ada'; email = 'ada@mail.example'; password = 'Hello123!' }"
    return [
      `Invoke-RestMethod ${url}/health`,
      `Invoke-RestMethod ${url}/rest/users -Method Post -Body ${ada}`,
      `Invoke-RestMethod '${url}/_local/mail?to=ada@mail.example'`,
    ]
  }
  return [
    `curl -w '\\n' ${url}/health`,
    `curl -w '\\n' ${url}/rest/users -d 'username=ada&email=ada@mail.example&password=Hello123!'`,
    `curl -w '\\n' '${url}/_local/mail?to=ada@mail.example'`,
  ]
}

/** The pages, which the CDN of a deployment has too, except the studio. */
const pages = (url: string): [string, string][] =>
  [
    ['studio: mail, clock, outages', '/'],
    ['account portal', '/overview'],
    ['operator’s console', '/console'],
    ['API reference', '/docs'],
  ].map(([what = '', path = '']) => [what, pagesUrl(url) + path])

/** Where to look next: pairs of a topic and the command or file for it. */
const next = (url: string): [string, string][] => [
  ['the walk-through and every route', 'npm run dev -- --routes'],
  ['a story of five customers', 'npm run demo'],
  ['what an operator can do', 'npm run ops'],
  ['the contract (OpenAPI 3.1)', `${url}/openapi.json`],
  ['what it does and how it is built', 'README.md'],
]

export interface Started {
  url: string
  /** The data folder, or `:memory:`. */
  data: string
  /** Whether to print every route and the whole walk-through. */
  routes: boolean
}

/** The whole first screen except its last line, which says that the server is ready. */
export function firstScreen({ url, data, routes }: Started): string {
  const kept = `in ${data}/, kept; delete the folder to start afresh`
  const where = data === ':memory:' ? 'in memory, gone when this stops' : kept
  return [
    '',
    `  API       ${url}`,
    `  data      ${where}`,
    '',
    ...(routes
      ? [
          heading('routes'),
          routeList(),
          '',
          heading('try it: paste this into another terminal'),
          '',
          walkThrough(url),
        ]
      : [heading('try it in another terminal: see that it answers, register, read the mail')]),
    ...(routes ? [] : commandsToTry(url).map((line) => `  ${command(line)}`)),
    '',
    heading('where to look next'),
    ...[...next(url), ...pages(url)].map(([what, place]) => `  ${what.padEnd(34)}${command(place)}`),
    '',
  ].join('\n')
}

function routeList(): string {
  return customerRows
    .flatMap((row) => row.routes.map((key) => ({ key, row })))
    .map(({ key, row }) => {
      const [method = '', path = ''] = key.split(' ')
      const needs = { public: '      ', account: 'token ', key: 'key   ', operator: '', 'admin-key': '' }[
        row.auth
      ]
      return `  ${method.padEnd(6)} ${path.padEnd(34)} ${needs} ${row.summary}`
    })
    .join('\n')
}
