"""The terms of the prompt rules: words and phrases by kind, parted by commas, in the singular.

They are as blunt as what they must find. Plurals, doubled letters, joined phrases and disguises are the lexicon's work.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a term says."""

    ALWAYS = "always"  # minors and sex in one word
    MINOR = "minor"
    YOUTH = "youth"  # what mostly goes with minors: school dress, "young"
    SEXUAL = "sexual"
    SUGGESTIVE = "suggestive"  # allowed, but not beside
    ADULTHOOD = "adulthood"  # in a negative prompt: grown-up people are left out
    CLOTHING = "clothing"  # in a negative prompt: clothes, or what covers the body, are left out


TERMS: dict[str, str] = {
    Kind.ALWAYS: """
        lolicon, rorikon, lolikon, shotacon, shotakon, toddlercon, kodomocon, child porn, child pornography,
        kiddie porn, kiddy porn, kid porn, pedo, paedo, pedophile, paedophile, pedophilia, paedophilia, pedophilic,
        pedobear, hebephile, hebephilia, csam, csem, cunny, ageplay, age play, abdl, diaper fetish, ddlg, lolisho,
        lolibooru, pthc, nambla, boylove, boylover, girllover, pedophiliac, loli hentai, shota hentai
    """,
    Kind.MINOR: """
        loli, rori, shota, straight shota, oneeshota, onee shota, oneshota, onii shota, ololi, child, children,
        childlike, childish, schoolchild, schoolchildren, kid, kiddo, kiddie, kiddy, kiddies, schoolkid, toddler,
        infant, baby, babies, newborn, neonate, preteen, pre teen, preteenager, preteenage, tween, tweenager, teen,
        teenie, teenager, teenage, teenaged, teenybopper, youngster, underage, underaged, under age, under aged,
        minor, nymphet, tweenie, subteen, sub teen, cub, little one, girl scout, boy scout, altar boy, choir boy,
        quinceanera, training bra, preadolescent, prekindergarten, stepchild, stepchildren, adolescent, adolescence,
        juvenile, prepubescent, prepuberty, prepubertal, pubescent, pubertal, schoolgirl, school girl, schoolboy,
        school boy, schooler, school aged, school age, school kid, school child, school children, young girl,
        young boy, young female, young male, younger girl, younger boy, younger sister, younger brother, little girl,
        little boy, little sister, little brother, lil girl, lil boy, lil sister, lil sis, little sis, small girl,
        small boy, tiny girl, tiny boy, smol girl, imouto, otouto, imoto, loli body,

        elementary school, elementary student, elementary age, elementary aged, elementary schooler, primary school,
        grade school, grade schooler, gradeschooler, middle school, middle schooler, middleschool, junior high,
        jr high, jr high school, junior high school, high school, high schooler, highschool, highschooler,
        secondary school, kindergarten, kindergartner, kindergartener, kindergarden, preschool, pre school,
        preschooler, nursery school, grader, first grade, second grade, third grade, fourth grade, fifth grade,
        sixth grade, seventh grade, eighth grade, ninth grade, tenth grade, eleventh grade, twelfth grade, randoseru,
        kodomo, youjo, yojo, shoujo body, shogakusei, shougakusei, chuugakusei, chugakusei, joshi kousei, joshi kosei,
        joshikousei, mesugaki, jailbait, jail bait, barely legal, not an adult, not adult, non adult, not grown up,
        not mature, not of age, not legal, below legal age, under legal age, below the legal age, illegal age,
        aged down, age regression, age regressed, de aged, de aging, deaging, junior idol, child idol, sweet sixteen,
        sweet 16, lolita girl, child body, kid body, underdeveloped body, undeveloped body,

        menor de edad, menor de idade, menores, nina desnuda, ninas desnudas, nino desnudo, ninos desnudos,
        nina pequena, colegiala, ninos, criança, crianca, menina, menino, chiquilla, minderjährig, minderjährige,
        minderjährigen, kleines mädchen, kleiner junge, schulmädchen, schülerin, kinder, petite fille, petit garçon,
        fillette, mineure, écolière, collégienne, lycéenne, enfant, adolescente, minorenne, bambina, bambino, bambini,
        ragazzina, dziecko, dziewczynka, nieletnia, nastolatka,

        ребёнок, ребенка, дети, детей, детский, детская, девочка, девочки, девочек, девочку, мальчик, мальчика,
        мальчики, школьница, школьницы, школьник, школьники, школьниц, ученица, ученик, малолетка, малолетняя,
        малолетки, несовершеннолетняя, несовершеннолетний, подросток, подростки, лоли, лолита, шота
    """,
    Kind.YOUTH: """
        young, younger, youth, youthful, lolita, student, school, school uniform, serafuku, seifuku, gakuran,
        sailor uniform, sailor fuku, school swimsuit, gym uniform, sukumizu, sukusui, classroom, daughter,
        stepdaughter, stepson, step daughter, step son, jk, kogal, teacher and pupil, niece, nephew, orphan,
        childhood, daycare, diaper, pacifier, boyhood, girlhood, babyface, baby face
    """,
    Kind.SEXUAL: """
        nude, nud, nudity, nudist, nudism, nood, noodz, newd, naked, nakd, nakid, naket, nekd, nkd, nakedness, nekkid,
        nekked, unclothed, undressed, undress, undressing, undresses, disrobed, topless, topfree, bottomless, full
        frontal, no clothes, no clothing,
        without clothes, without clothing, without any clothes, without any clothing, zero clothes, clothes off,
        clothes removed, wearing nothing, wears nothing, nothing but skin, birthday suit, skinny dip, skinny dipping,
        taking off clothes, taking off her clothes, taking off his clothes, takes off her clothes,
        takes off his clothes, removing clothes, stripping off, uncovered breast, boobs out, boob out, tits out,
        titties out, in the buff, au naturel, bare naked, bare breast, bare breasted, bare ass, ass up, ass out,
        bare butt, bare buttocks, breasts out, breast out, one breast out, breasts exposed, exposed breast,
        exposed body, exposed chest, exposed nipple, nipple, nipslip, nip slip, areola, areolae, areola slip,
        no panties, without panties, no underwear, without underwear, no bra, without bra, panties aside, panty aside,
        clothing aside, swimsuit aside, panties down, bikini aside,

        genital, genitalia, genitals, private parts, pussy, pussi, pusi, pssy, pussie, pussies, cameltoe, camel toe,
        clitoris, clit, clitoral,
        labia, vulva, vagina, vaginal, cunt, twat, cooch, coochie, manko, omanko, anus, anal, anally, asshole,
        ass hole, butthole, butt hole, ass, arse, penis, penises, cock, dick, phallus, schlong, boner, erection,
        testicle, testes, scrotum, ballsack, foreskin, phimosis, pubic hair, pubes, pubic, titty, titties, tits,
        uncensored, censored, decensored, mosaic censoring, mosaic censorship, bar censor, convenient censoring,
        censor bar, striptease, strip tease, stripper, stripping naked, flashing breasts, functionally nude,
        crotchless, covering nipples, covering breasts, covering crotch, covering privates, upskirt, downblouse,
        wardrobe malfunction, spread anus, spread pussy, spread ass,

        sex, sexes, sexual, sexually, sexuality, sexualized, sexualised, sexo, intercourse, coitus, copulation,
        copulating, fornication, lovemaking, love making, making love, anilingus, cunnilingus, fellatio, fellating,
        blowjob, blow job, handjob, hand job, footjob, foot job, thighjob, titjob, boobjob, boob job, assjob, buttjob,
        rimjob, rim job, rimming, titfuck, tit fuck, titty fuck, paizuri, nakadashi, deepthroat, deepthroating,
        deepthroated, deep throat, irrumatio, oral, facefuck, fingering, fisting, masturbate, masturbates,
        masturbated, masturbating, masturbation, masturbator, jerking off, jerk off, wank, wanking, fap, fapping,
        schlick, orgasm, orgasmic, orgasming, ejaculate, ejaculating, ejaculation, ejaculates, cum, cumming, cumshot,
        cum shot, cumdump, cumslut, precum, pre cum, creampie, creampied, semen, sperm, bukkake, gokkun, gangbang,
        gang bang, gangbanged, orgy, orgies, threesome, doggystyle, doggy style, doggiestyle, cowgirl position,
        reverse cowgirl, missionary position, missionary sex, mating press, prone bone, spitroast, spit roasted,
        69 position, sixty nine position, tribadism, tribbing, scissoring, facesitting, face sitting, breast grab,
        breast sucking, grabbing breast, grabbing ass, ass grab, groping, groped, grope, groper, fondle, fondling,

        fuck, fucked, fucking, fucker, fuckable, rape, raped, raping, rapist, gangrape, molest, molested, molesting,
        molestation, molester, bestiality, beastiality, zoophilia, zoophile, necrophilia, incest, incestuous,
        netorare, ntr, cuckold, cuck, impregnate, impregnated, impregnation, impregnating, bondage, shibari, bdsm,
        femdom, sadomasochism, sex slave, slave sex, gloryhole, glory hole, prostitute, prostitution, brothel, whore,
        slut, slutty, skank, horny, aroused, arousal, arousing, ahegao, condom, pussy juice, vaginal juice,
        squirting orgasm, lactating breast, peeing, pee on, golden shower, watersports fetish, omorashi, voyeur,
        voyeurism, exhibitionism, exhibitionist, futanari, futa, dickgirl, dick girl, newhalf, yiff, yiffing,
        double penetration, vaginal penetration, anal penetration, imminent penetration, penetrated, dildo, vibrator,
        sex toy, sextoy, butt plug, anal bead, anal plug, fleshlight, onahole, strap on, strapon, cock ring,
        aphrodisiac, tentacle rape, chikan, sexting, camwhore, arsehole, autoerotic, bukake, cocksucker, cocksucking,
        cuming, doggie style, dog style, ejaculated, fellate, fellates, fingerfuck, fistfuck, fuk, fuking, fvck, fck,
        phuck, phuk, fucktoy, motherfucker, motherfucking, gay sex, gaysex, phone sex, hardcore sex, live sex,
        sex cam, g spot, hardon, invisible clothes, jack off, jacking off, jackoff, jism, jizm, kinbaku, kock, kum,
        masterbate, masterbating, masterbation, muff diver, nutsack, nympho, nymphomania, nymphomaniac, orally,
        phallic, poontang, queef, quim, shemale, smegma, sodomy, strip club, titwank, vag, wanker, whoring,
        whorehouse, circle jerk, dry hump, humping, foreplay, foursome, girl on girl, menage a trois, tea bagging,
        teabagging, braless, barenaked, bare below the waist, au naturale, pissing, prolapsed, sexed, debauchery,
        debauched, hanky panky, jizz,

        nsfw, not safe for work, hentai, henti, hentay, porn, porno, pornographic, pornography, pron, pornhub,
        pornstar, xvideos, xhamster, redtube, nhentai, e621, gelbooru, erotic, erotica, erotism, eroticism, eroge,
        ero guro, lewd, lewdness, smut, smutty, xxx, x rated, r18, r 18, rule 34, rule34, r34, r 34, explicit,
        explicitly, rating explicit, rating questionable, rating e, rating q, rating x, adult content, adults only,
        adult only, onlyfans, only fans, obscene, kama sutra, kamasutra, hadaka, zenra, chinko, chinpo,

        desnudo, desnuda, desnudos, desnudas, sin ropa, sexe, nackt, nackte, nackter, nacktes, nackten, nacktheit,
        toute nue, entièrement nue, nuda, nudo, nua, nuas, sem roupa, seins nus, coño, polla, verga, puta, cycki,
        seks, sesso,

        голая, голый, голые, голой, голую, обнажённая, обнаженная, обнажённый, обнаженный, обнажённые, обнаженные,
        порно, порнография, секс, сексуальный, хентай, эротика, эротический, эротическая, раздетая, раздетый,
        без одежды, сиськи, минет, трах, трахает, ебать, нюдс
    """,
    Kind.SUGGESTIVE: """
        breast, boob, booby, boobie, boobies, busty, cleavage, underboob, sideboob, side boob, oppai, panties, panty,
        pantsu, pantyshot, panty shot, panchira, underwear, undies, lingerie, bra, brassiere, thong, g string,
        gstring, micro bikini, string bikini, slingshot swimsuit, negligee, babydoll, see through, butt, buttocks,
        butt cheek, crotch, bulge, thicc, spread legs, legs spread, spreading legs, open legs, sexy, sexier, sexiest,
        seductive, seductively, seduce, seducing, seduction, sensual, sensually, sultry, provocative, provocatively,
        suggestive, suggestively, ecchi, etchi, lust, lustful, lusty, fetish, fetishes, foot fetish, bimbo, milf,
        moan, moaning, in heat, heavy breathing, come hither, bedroom eyes, dominatrix, latex suit, camgirl, cam girl,
        spank, spanking, spanked, ball gag, hot and bothered, voluptuous, skimpy, revealing clothes, revealing outfit,
        revealing clothing, barely clothed, barely dressed, half dressed, half naked, lapdance, lap dance,
        pole dancing, scantily clad, pantsless, no pants, panty pull, bed invitation, french kiss, making out,
        love hotel, hickey
    """,
    Kind.ADULTHOOD: """
        adult, adulthood, grownup, grown up, grown woman, grown man, grown women, grown men, full grown, fully grown,
        mature, maturity, mature female, mature male, mature woman, mature body, aged up, age up, aging up, milf,
        of age, legal age, over 18, over eighteen, older woman, older women, old woman body, developed body,
        middle aged, post pubescent
    """,
    Kind.CLOTHING: """
        clothes, clothing, clothed, fully clothed, dressed, garment, apparel, censored, censor, censoring, censorship,
        mosaic censoring, mosaic censor, bar censor, censor bar, novelty censor, convenient censoring, sfw,
        safe for work
    """,
}

COMPANIONS = "girl, girls, boy, boys, woman, women, female, male, body, pic, pics"
"""What terms are written together with, as one word."""

INNOCENT = """
    paul klee, felix klee, striper, pola, bobs, riming, kidd, annals, annal, brass, assess, babble, bonner, seeks,
    rapping, rapped, lolly, lollies, chicken breast,
    turkey breast, duck breast, breast pocket, breast plate, breast stroke, breast milk bottle, breast cancer,
    robin red breast, red breast, moby dick, dick grayson, dick tracy, dick van dyke, dick whittington,
    dick dastardly, philip k dick, spotted dick, pussy willow, pussy cat, pussy riot, blue tits, coal tits,
    marsh tits, long tailed tits, same sex, opposite sex, sex pistols, sex and the city, naked eye, naked cake,
    sex linked, naked mole rat, naked snake, naked gun, naked raygun, nude lipstick, nude heel, nude heels,
    nude makeup, nude tone, nude color, nude colour, nude palette, nude pump, nude pumps, nude nail polish,
    horny toad, horny lizard, sperm whale, rape blossom, rape blossoms, rape flower, rape flowers, rape seed,
    rape field, wild ass, bad ass, kick ass, smart ass, ass and ox, ox and ass, cum laude, weather cock,
    cock a doodle doo, cock of the rock, oral history, oral tradition, oral hygiene, oral b, oral exam, oral surgery,
    oral surgeon, guitar fingering, piano fingering, topless male, topless man, wire stripper, paint stripper,
    explicit lyrics, explicit instructions, ursa minor, canis minor, asia minor, minor arcana, minor chord, d minor,
    e minor, c minor, g minor, b minor, f minor, minor key, minor scale, minor details, minor detail, young woman,
    young women, young man, young men, young lady, young ladies, young adult, young adults, young couple,
    young mother, young wife, young queen, baby blue, baby doll, baby oil, baby bump, baby grand, baby shower,
    baby breath, baby s breath, childhood friend, childhood friends, gothic lolita, sweet lolita, classic lolita,
    wa lolita, qi lolita, lolita fashion, lolita dress, lolita hairband, lolita clothes, university student,
    university students, college student, college students, art student, art students, medical student,
    graduate student, grad student, law student, old school, school of fish, new school hip hop, school of athens,
    film school, law school, art school, med school, medical school, dance school, driving school, cigarette butt,
    head butt, torn clothes, torn clothing, wet clothes, wet clothing, ripped clothes, ripped clothing,
    see through clothes, see through clothing, seethrough clothes, seethrough clothing, transparent clothes,
    transparent clothing, extra clothes, revealing clothes, revealing clothing, tight clothes, tight clothing,
    skimpy clothes, skimpy clothing, dirty clothes, deformed clothes, deformed clothing, merged clothes,
    mismatched clothes, asymmetrical clothes, bad clothes, modern clothes, modern clothing, wrinkled clothes,
    floating clothes, messy clothes, open clothes, clothes line, clothes lift, clothes pull, clothes writing,
    clothes hanger, damaged clothes, duplicate clothes
"""
"""Harmless phrases around terms: a term in one of them does not count. Only undisguised, and within one tag."""

UNSPACED: dict[str, str] = {
    Kind.ALWAYS: (
        r"ロリコン|ショタコン|(?<![ァ-ヶー])ペド(?:フィリア)?(?![ァ-ヶー])|児童ポルノ|炉利控|萝莉控|蘿莉控|正太控|恋童|戀童|(?<!角)儿童色情"
        r"|兒童色情|아동 ?포르노|로리콘|쇼타콘"
    ),
    Kind.MINOR: (
        r"(?<![ァ-ヶー])ロリ(?:っ子|娘|体型|巨乳)?(?![ァ-ヶー])|(?<![ァ-ヶー])ショタ(?![ァ-ヶー])|メスガキ|幼女|幼児|子供|子ども|こども"
        r"|小学生|小學生|中学生|中學生|高校生|高中生|初中生|女子高生|男子高生|未成年|幼稚園|幼儿园|園児|赤ちゃん|萝莉|蘿莉|正太(?!郎)"
        r"|儿童|兒童|小孩|孩子|幼童|女童|男童|婴儿|嬰兒|(?<![가-힣])로리|(?<![가-힣])쇼타|미성년|어린이|(?<![가-힣])아이(?:의|가|를|들)?(?![가-힣])"
        r"|초등학생|중학생|고등학생|여고생|유아|아동"
    ),
    Kind.YOUTH: r"少女|少年|学生|學生|制服|セーラー服|スクール水着|妹|娘|소녀|소년|교복|학생|여동생",
    Kind.SEXUAL: (
        r"(?<!赤)裸(?![足眼子麦婚線])|ヌード(?!ル)|(?<![ァ-ヶー])セックス|(?<![ァ-ヶー])エロ(?![ァ-ヶー])|ポルノ(?!グラフィティ)"
        r"|(?<![ァ-ヶー])フェラ(?:チオ)?(?![ァ-ヶー])|オナニー|レイプ|アヘ顔|まんこ|ちんこ|ちんぽ|中出し|手コキ|成人向け|十八禁|無修正|痴漢|近親相姦"
        r"|乳首|(?<![男女])性交|性器|性行為|性行为|陰部|阴部|陰茎|阴茎|膣|阴道|陰道|射精|精液|自慰|強姦|强奸|輪姦|轮奸|凌辱|(?<!角)色情"
        r"|(?<![感表])情色(?!彩)|做爱|做愛|口交(?![通叉])|肛交|乱交|亂交|淫|脱光|无码|누드|나체|알몸|(?<![가-힣])섹스|포르노|야동|자위(?!대)|성교"
        r"|야한|젖꼭지|강간"
    ),
    Kind.SUGGESTIVE: r"下着|パンティ|巨乳|セクシー|(?<![ァ-ヶー])エッチ(?![ァ-ヶー])|内裤|內褲|内衣|胸罩|性感|속옷|팬티|섹시",
}
"""The same in writing without spaces: patterns that are searched for inside words, with what they must not stand in."""
