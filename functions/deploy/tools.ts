import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fetchProgram, type Package } from './npm-package.ts'

/**
 * The programs that only a deployment and its check need. They are large, so no `npm ci` installs them: the first
 * command that needs one fetches its package through npm, which must have exactly this content. To take another
 * version of SST, write the `dist.integrity` of each of its packages here.
 */
interface Tool extends Package {
  program: 'sst' | 'bun'
  platform: string
  integrity: string
}

export const SST_VERSION = '4.17.1'

const sst = (platform: string, integrity: string): Tool => ({
  program: 'sst',
  platform,
  name: `sst-${platform}`,
  version: SST_VERSION,
  integrity,
})

export const tools: readonly Tool[] = [
  sst(
    'darwin-arm64',
    'sha512-Y9qZTBk4Fcwba+td+Dz3lz0wT9pQIbkJ5JqNfU4UwaVQtA58kz02F/BluhACi0vpI7PJULY7Tp1orHg86iy9+w==',
  ),
  sst(
    'darwin-x64',
    'sha512-TCU/H51vhQo+5QwsPIsiODlM54OS3Xai8FThcmX9H4git9Z/gPRLdWGKO+KSRB5Mrbm4z1R+pLqWyuuoNA4W6g==',
  ),
  sst(
    'linux-arm64',
    'sha512-LwSl1hOEuRx1nODr9QRKZAo8hrTOS/BBhZdGoAIwsVArmZurqbY1VKaVk6DSbP+qUnGPPgdEMpb1PpfdJfX/Xw==',
  ),
  sst(
    'linux-x64',
    'sha512-DtIm3XkpzWb9yS4ZSgxg5KuOHRHhBk66y9lzVw6E/GBfUDdVOES2pbQUuFHuAq2tPJpbzuxGH7trdylAGD+TxA==',
  ),
  sst(
    'win32-arm64',
    'sha512-iGWZC6vCI2verOnjLxLReXNsZdxvVKJlgXO0zI4vtw3cbd+PbCU2Q7uj6miu0nlNHhsy+v0C3eL/aKu3Sk7V0A==',
  ),
  sst(
    'win32-x64',
    'sha512-S9vpQwF24syg2A2+Sb+STejN8pfVv/l2LIZTFHeQOrMeLPIld3Uz9fQPakXCa3FrT1/i+m/UWWORXIJUeNBe+g==',
  ),
  // SST fetches a Bun of its own on the other platforms. This one is for a CI that has npm's registry alone.
  {
    program: 'bun',
    platform: 'linux-x64',
    name: '@oven/bun-linux-x64-baseline',
    version: '1.2.1',
    integrity:
      'sha512-JzQtZno0K6RF0je+znbBkgcOvoK9Gp2+fExUe4EAoR4IvBG6Nb4AtTB3SXnpiTcLLv5PbD52pFFFp9nYzoalcA==',
  },
]

const ROOT = join(import.meta.dirname, '..', '..')
const PLATFORM = `${process.platform}-${process.arch}`

/** Where the programs are kept: beside what SST makes, so that `npm ci` leaves them alone. */
export const TOOLS_FOLDER = join('.sst', 'tools')

/**
 * A tool's path, fetched if it is not there yet; undefined where none is pinned for this platform.
 * @throws Error with a sentence for the person at the terminal.
 */
export async function toolPath(program: Tool['program']): Promise<string | undefined> {
  const tool = tools.find((one) => one.program === program && one.platform === PLATFORM)
  if (!tool) return undefined
  const title = `${tool.name}@${tool.version}`
  const folder = join(ROOT, TOOLS_FOLDER, title.replaceAll('/', '-'))
  const file = process.platform === 'win32' ? `${program}.exe` : program
  if (existsSync(join(folder, file))) return join(folder, file)
  process.stderr.write(`fetching ${title} through npm, this once, into ${TOOLS_FOLDER}\n`)
  try {
    const fetched = await fetchProgram(tool, folder, file)
    process.stderr.write(`fetched ${title}\n`)
    return fetched
  } catch (error) {
    throw new Error(
      `npm could not fetch ${title} (${(error as Error).message}). Start again when npm's registry answers.`,
    )
  }
}
