import type { Challenge } from '../ports.ts'

/** https://developers.cloudflare.com/turnstile/get-started/server-side-validation/ */
const API = 'https://challenges.cloudflare.com'
const TIMEOUT_MS = 3_000

/** `Challenge` by Cloudflare Turnstile. @param config.apiBase of a double; by default Cloudflare's own */
export const turnstileChallenge = (config: {
  secretKey: string
  apiBase?: string | undefined
}): Pick<Challenge, 'verify'> => ({
  async verify(answer, address) {
    const response = await fetch(`${config.apiBase ?? API}/turnstile/v0/siteverify`, {
      method: 'POST',
      body: new URLSearchParams({ secret: config.secretKey, response: answer, remoteip: address }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const verdict: { success?: unknown; 'error-codes'?: unknown } = JSON.parse(await response.text())
    // A refusal of the answer names it. Any other one is about our own settings, or an outage.
    const codes = Array.isArray(verdict['error-codes']) ? verdict['error-codes'] : []
    const isAboutAnswer = codes.some((code) => OF_ANSWERS.includes(code))
    if (verdict.success !== true && !isAboutAnswer) throw new Error('Turnstile has not judged the answer')
    return verdict.success === true
  },
})

const OF_ANSWERS = ['missing-input-response', 'invalid-input-response', 'timeout-or-duplicate']
