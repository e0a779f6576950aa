import { Secret, TOTP } from 'otpauth'
import { renderSVG } from 'uqr'
import type { Totp } from '../ports.ts'

const SEED_BYTES = 20
const PERIOD_SEC = 30

/** White modules around a QR code, without which readers may miss it (ISO/IEC 18004). */
const QUIET_ZONE = 4

/**
 * One-time passwords by otpauth, with uqr's QR code for enrolment. Apps show `issuer`, the deployment's
 * name, next to the account.
 */
export function otpauthTotp(issuer: string): Totp {
  const totp = (seed: Secret | string, label = '') =>
    new TOTP({ issuer, label, secret: seed, period: PERIOD_SEC })
  return {
    enrol(account, seed) {
      const secret = seed === undefined ? new Secret({ size: SEED_BYTES }) : Secret.fromBase32(seed)
      const uri = totp(secret, account).toString()
      return { seed: secret.base32, uri, svg: renderSVG(uri, { border: QUIET_ZONE }) }
    },
    stepOf(seed, code, nowMs) {
      const delta = totp(seed).validate({ token: code, timestamp: nowMs, window: 1 })
      return delta === null ? undefined : Math.floor(nowMs / 1000 / PERIOD_SEC) + delta
    },
  }
}
