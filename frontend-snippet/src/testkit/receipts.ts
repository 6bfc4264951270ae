/** Receipts that verify: signed by a key that the fake makes and publishes. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { Notebook, Version } from './state.js';

export class ReceiptSigner {
  readonly jwk: Record<string, unknown>;
  readonly #key;

  constructor(readonly issuer: string, readonly host: string) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
    const kid = createHash('sha256').update(`${String(x)} ${String(y)}`).digest('hex').slice(0, 16);
    this.jwk = { kid, alg: 'ES256', use: 'sig', kty, crv, x, y };
    this.#key = privateKey;
  }

  /** Sign what a version is. */
  receipt({ id, owner }: Notebook, { number, sha256, content, createdAt }: Version): string {
    const facts = {
      iss: this.issuer, aud: 'inset-receipt', host: this.host, user: owner, notebook: id, version: number, sha256,
      size: Buffer.byteLength(content), iat: Math.floor(Date.parse(createdAt) / 1000),
    };
    const head = { alg: 'ES256', typ: 'inset-receipt+jwt', kid: this.jwk.kid };
    const signed = [head, facts].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const signature = sign('sha256', Buffer.from(signed), { key: this.#key, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  }
}
