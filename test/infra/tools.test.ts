import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { SST_VERSION, TOOLS_FOLDER, tools } from '../../functions/deploy/tools.ts'
import { copyProject } from '../support/project-copy.ts'
import { integrityOf, type Published, startRegistry, tarballOf } from '../support/registry.ts'

const PLATFORM = `${process.platform}-${process.arch}`
const home = mkdtempSync(join(tmpdir(), 'bursar-tools-'))
afterAll(() => rmSync(home, { recursive: true, force: true }))

test('every tool of the deployment is pinned to one version with its SHA-512', () => {
  for (const { version, integrity } of tools) {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
    expect(integrity).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/)
  }
  expect(new Set(tools.map(({ integrity }) => integrity)).size).toBe(tools.length)
})

test('SST is pinned for every platform on which Bursar is built', () => {
  const platforms = tools.filter(({ program }) => program === 'sst').map(({ platform }) => platform)
  const known = ['darwin', 'linux', 'win32'].flatMap((os) => [`${os}-arm64`, `${os}-x64`])
  expect(platforms).toEqual(known)
})

/** An SST that prints its arguments, and the secret that it reads up to a mark, and ends with 3. */
const published: Published = {
  name: `sst-${PLATFORM}`,
  version: SST_VERSION,
  files: { 'bin/sst': '#!/bin/sh\necho "$@"\n[ "$1" = secret ] && echo "$(cat; echo .)"\nexit 3\n' },
}

/** Runs `sst.ts` in a project where the registry has that package. */
async function sst(project: string, ...args: string[]) {
  const registry = await startRegistry([published])
  const PATH = dirname(process.execPath) + delimiter + process.env.PATH
  const env = { PATH, HOME: home, npm_config_registry: registry.url, npm_config_fetch_retries: '0' }
  const ran = await new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const words = ['functions/deploy/sst.ts', ...args]
    const child = execFile(process.execPath, words, { cwd: project, env }, (_, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    )
    child.stdin?.end('sk_live_1\r\n')
  })
  await registry.close()
  return { ...ran, asked: registry.asked.length }
}

const title = `sst-${PLATFORM}@${SST_VERSION}`

test('a package that is not the pinned one is refused in a sentence, and never runs', async () => {
  const project = copyProject()
  const { code, out, err } = await sst(project, 'deploy')
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(
    new RegExp(
      `^fetching ${title} through npm, this once, into ${TOOLS_FOLDER}\nnpm could not fetch ${title} \\(the registry's tarball has the integrity [^\n]+\\)\\. Start again when npm's registry answers\\.\n$`,
    ),
  )
})

test('the pinned package is fetched once, gets the arguments and a secret without its line break, and its code is the command’s', async () => {
  const project = copyProject()
  const file = join(project, 'functions/deploy/tools.ts')
  const pinned = tools.find(({ program, platform }) => program === 'sst' && platform === PLATFORM)!.integrity
  writeFileSync(file, readFileSync(file, 'utf8').replace(pinned, integrityOf(tarballOf(published))))
  const first = await sst(project, 'secret', 'set', 'StripeSecretKey', '--stage', 'dev-ada')
  expect(first).toEqual({
    code: 3,
    out: 'secret set StripeSecretKey --stage dev-ada\nsk_live_1.\n',
    err: `fetching ${title} through npm, this once, into ${TOOLS_FOLDER}\nfetched ${title}\n`,
    asked: expect.any(Number),
  })
  expect(await sst(project, 'deploy')).toEqual({ code: 3, out: 'deploy\n', err: '', asked: 0 })
})
