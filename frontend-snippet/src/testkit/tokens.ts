/** Believes nobody: every JWT is verified as the service verifies it. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { Refusal } from './refusals.js';
import type { Kept } from './state.js';

interface Claims {
  iss?: string;
  aud?: string;
  sub?: string;
  exp?: number;
  iat?: number;
  act_for?: string;
  may?: string[];
}

/** Whom a call is for. */
export interface Caller {
  user: string;
  may: string[];
  backend: boolean;
}

const EVERY_CAPABILITY = ['edit', 'run', 'download', 'terminals'];
const SECONDS = 300;

export function sign(kept: Kept, user: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: kept.issuer, aud: kept.url, sub: user, iat: now, exp: now + SECONDS };
  const signed = [{ alg: 'HS256', typ: 'JWT', kid: kept.keyId }, claims].map(encoded).join('.');
  return `${signed}.${mac(kept.key, signed)}`;
}

export function caller(kept: Kept, authorization = ''): Caller {
  const [, token] = /^bearer (.+)$/i.exec(authorization) ?? [];
  if (!token) throw refused('missing', 'Token missing');
  const [head = '', body = '', signature = ''] = token.split('.');
  const header = decoded(head) as { alg?: string; kid?: string };
  const claims = decoded(body) as Claims;
  if (claims.iss !== kept.issuer || header.kid !== kept.keyId) throw refused('unknown-issuer', 'Unknown issuer or key');
  if (header.alg !== 'HS256') throw refused('algorithm', 'Wrong algorithm');
  if (!same(signature, mac(kept.key, `${head}.${body}`))) throw refused('signature', 'Wrong signature');
  if (!claims.sub || !claims.exp) throw refused('claims', 'Claims missing');
  if (claims.exp * 1000 < Date.now()) throw refused('expired', 'Token expired');
  if (claims.aud !== kept.url) throw refused('audience', 'Wrong audience');
  const backend = claims.sub === kept.issuer;
  if (backend !== (claims.act_for !== undefined)) throw refused('claims', 'Claims missing');
  // As the service: tokens of the second in which a user was turned away are refused, too.
  if (!backend && Math.floor(claims.iat ?? 0) <= (kept.revoked.get(claims.sub) ?? -1)) throw refused('revoked', 'Token revoked');
  return { user: claims.act_for ?? claims.sub, may: claims.may ?? EVERY_CAPABILITY, backend };
}

/** Refuse what a caller may not do. */
export function need({ may, backend }: Caller, capability: string): void {
  if (backend || may.includes(capability)) return;
  throw new Refusal(403, 'not-allowed', 'Not allowed for this user', { needs: capability });
}

/** Refuse whoever is not the host's own back end. */
export function needBackend({ backend }: Caller): void {
  if (!backend) throw new Refusal(403, 'backend-only', 'For the host\'s backend only');
}

function refused(what: string, title: string): Refusal {
  return new Refusal(401, `token-${what}`, title);
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function decoded(part: string): object {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
  } catch {
    throw refused('malformed', 'Token is not a JWT');
  }
}

function mac(key: string, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url');
}

function same(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
